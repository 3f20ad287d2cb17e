//! One answer in the making: its tokens, its cache blocks, and what its reader has yet to be told.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use wick_models::{DecodeStream, Tokenizer};

use super::blocks::Table;
use super::constraint::Mask;
use super::cycle::CycleWatch;
use super::sampler::{Sampler, best_tokens, log_sum_exp};
use super::stop::StopWatch;
use super::{Constraint, Event, Generation, LogprobItem, StopReason, TokenLogprob, Usage};

/// Tokens drawn at most, as a multiple of the context, whatever the request says.
const LIMIT_IN_CONTEXTS: usize = 10;

/// A sequence the scheduler steps.
pub(super) struct Sequence {
    /// Prompt and answer so far; after the context moved on, what is left of them.
    pub(super) tokens: Vec<u32>,
    /// Tokens whose keys and values stand in `table`'s blocks.
    pub(super) evaluated: usize,
    /// `None` before the first step and after the last.
    pub(super) table: Option<Table>,
    /// Prefixes are shared within it.
    pub(super) tenant: String,
    candidate: usize,
    limit: usize,
    keep: usize,
    shift: bool,
    printed: Vec<u32>,
    logprobs: Option<usize>,
    sampler: Sampler,
    /// What the answer is held to.
    pub(super) mask: Option<Mask>,
    /// Where it is to be brief.
    cycle: Option<CycleWatch>,
    decode: DecodeStream,
    stop: StopWatch,
    due: Vec<TokenLogprob>,
    outbox: VecDeque<Event>,
    events: mpsc::Sender<Event>,
    ended: bool,
    usage: Usage,
    started: Option<Instant>,
    first_token: Option<Instant>,
}

impl Sequence {
    /// Candidate number `candidate` of `request`, answering to `events`.
    pub(super) fn new(
        request: &Generation,
        candidate: usize,
        context_tokens: usize,
        mask: Option<Mask>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let most = context_tokens.saturating_mul(LIMIT_IN_CONTEXTS);
        let limit = usize::try_from(request.predict)
            .ok()
            .filter(|&n| n > 0)
            .unwrap_or(most);
        let keep = usize::try_from(request.keep).unwrap_or(request.prompt.len());
        Self {
            tokens: request.prompt.clone(),
            evaluated: 0,
            table: None,
            tenant: request.tenant.clone(),
            candidate,
            limit: limit.min(most),
            keep: keep.min(request.prompt.len()),
            shift: request.shift,
            printed: request.printed.clone(),
            logprobs: request.logprobs,
            sampler: Sampler::new(request.sampling.clone(), candidate),
            mask,
            cycle: matches!(request.constraint, Some(Constraint::Brief(_)))
                .then(CycleWatch::default),
            decode: DecodeStream::default(),
            stop: StopWatch::new(request.stop.clone()),
            due: Vec::new(),
            outbox: VecDeque::new(),
            events,
            ended: false,
            usage: Usage {
                prompt_tokens: request.prompt.len(),
                ..Usage::default()
            },
            started: None,
            first_token: None,
        }
    }

    /// Tokens not yet evaluated.
    pub(super) fn pending(&self) -> usize {
        self.tokens.len() - self.evaluated
    }

    /// Whether its reader is behind or it has ended, so that it takes no part in the next step.
    pub(super) fn rests(&self) -> bool {
        self.ended || !self.outbox.is_empty()
    }

    /// Whether nothing is left to do for it: its reader has heard everything or has gone.
    pub(super) fn is_over(&self) -> bool {
        self.events.is_closed() || (self.ended && self.outbox.is_empty())
    }

    /// Whether the answer is complete or nobody waits for it, so that its blocks are free.
    pub(super) fn has_ended(&self) -> bool {
        self.ended || self.events.is_closed()
    }

    /// Notes the first step and how much of the prompt was found in the cache.
    pub(super) fn begin(&mut self, cached_tokens: usize) {
        if self.started.is_none() {
            self.started = Some(Instant::now());
            self.usage.cached_tokens = cached_tokens;
        }
        self.evaluated = cached_tokens;
    }

    /// Draws the next token from the logits after the last one and tells the reader.
    pub(super) fn advance(&mut self, logits: &mut [f32], tokenizer: &Tokenizer) {
        let now = Instant::now();
        let started = self.started.unwrap_or(now);
        let first = *self.first_token.get_or_insert(now);
        self.usage.prompt_duration = first - started;
        self.usage.completion_duration = now - first;

        let total = self.logprobs.map(|_| log_sum_exp(logits));
        let top = self
            .logprobs
            .map(|n| best_tokens(logits, n))
            .unwrap_or_default();
        let raw = total.map(|_| logits.to_vec());
        if let Some(mask) = &mut self.mask {
            let begun = Instant::now();
            let applied = mask.apply(logits);
            self.usage.constraint_duration += begun.elapsed();
            if let Err(reason) = applied {
                return self.fail(reason);
            }
        }
        let token = self.sampler.sample(logits, &self.tokens);
        self.usage.completion_tokens += 1;
        if let (Some(total), Some(raw)) = (total, raw) {
            let item = |(id, logit): (u32, f32)| logprob_item(tokenizer, id, logit - total);
            self.due.push(TokenLogprob {
                token: item((token, raw[token as usize])),
                top: top.into_iter().map(item).collect(),
            });
        }
        if tokenizer.is_end_of_generation(token) {
            return self.end(StopReason::Stop);
        }
        self.take(token, tokenizer);
        if let Some(mask) = &mut self.mask {
            let begun = Instant::now();
            let forced = mask.accept(token);
            self.usage.constraint_duration += begun.elapsed();
            match forced {
                Ok(forced) => self.take_forced(&forced, tokenizer),
                Err(reason) => return self.fail(reason),
            }
        }
        if !self.ended && self.usage.completion_tokens >= self.limit {
            self.end(StopReason::Length);
        }
        self.flush();
    }

    /// Makes room where the context is full: keeps the start, drops the older half of the rest.
    /// True if the kept tokens have to be evaluated anew; false if there was room or the answer ended.
    pub(super) fn move_on(&mut self, context_tokens: usize) -> bool {
        if self.ended || self.tokens.len() <= context_tokens {
            return false;
        }
        let keep = self.keep.min(context_tokens.saturating_sub(2));
        if !self.shift {
            self.end(StopReason::Length);
            return false;
        }
        // A form may have forced more tokens at once than half of a context has.
        let dropped = (self.tokens.len() - keep).div_ceil(2);
        let dropped = dropped.max(self.tokens.len() - context_tokens);
        self.tokens.drain(keep..keep + dropped);
        self.evaluated = 0;
        true
    }

    /// Tells the reader that the step failed.
    pub(super) fn fail(&mut self, reason: String) {
        self.outbox.push_back(Event::Failed(reason));
        self.ended = true;
        self.flush();
    }

    /// Sends what the reader has room for.
    pub(super) fn flush(&mut self) {
        while let Some(event) = self.outbox.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => {
                    self.outbox.push_front(event);
                    return;
                }
                Err(TrySendError::Closed(_)) => self.outbox.clear(),
            }
        }
    }

    /// Time since its first step, for the log.
    pub(super) fn age(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |s| s.elapsed())
    }

    fn take_forced(&mut self, forced: &[u32], tokenizer: &Tokenizer) {
        for &token in forced {
            if self.ended || self.usage.completion_tokens >= self.limit {
                return;
            }
            self.usage.completion_tokens += 1;
            if let Some(top) = self.logprobs {
                // Nothing else was allowed here, so the token is certain.
                let item = logprob_item(tokenizer, token, 0.0);
                let top = vec![item.clone(); top.min(1)];
                self.due.push(TokenLogprob { token: item, top });
            }
            self.take(token, tokenizer);
        }
    }

    fn take(&mut self, token: u32, tokenizer: &Tokenizer) {
        self.tokens.push(token);
        let bytes = match self.printed.contains(&token) {
            true => tokenizer.token_text(token).as_bytes(),
            false => tokenizer.token_bytes(token),
        };
        let text = self.decode.push_bytes(bytes).unwrap_or_default();
        let shown = self.stop.push(&text);
        self.say(shown.text);
        let cycle = self.cycle.as_mut();
        if shown.stopped {
            self.done(StopReason::Stop);
        } else if cycle.is_some_and(|cycle| cycle.push(&self.tokens)) {
            self.end(StopReason::Length);
        }
    }

    fn say(&mut self, text: String) {
        if !text.is_empty() {
            let logprobs = std::mem::take(&mut self.due);
            self.outbox.push_back(Event::Text {
                candidate: self.candidate,
                text,
                logprobs,
            });
        }
    }

    /// Shows what was held back, then ends.
    fn end(&mut self, reason: StopReason) {
        let rest = self.decode.finish().unwrap_or_default();
        let shown = self.stop.push(&rest);
        let text = shown.text + &self.stop.rest();
        self.say(text);
        self.done(reason);
    }

    fn done(&mut self, reason: StopReason) {
        if !self.due.is_empty() {
            let (candidate, logprobs) = (self.candidate, std::mem::take(&mut self.due));
            self.outbox.push_back(Event::Text {
                candidate,
                text: String::new(),
                logprobs,
            });
        }
        self.ended = true;
        let (candidate, usage) = (self.candidate, self.usage);
        self.outbox.push_back(Event::Done {
            candidate,
            reason,
            usage,
        });
        self.flush();
    }
}

fn logprob_item(tokenizer: &Tokenizer, id: u32, logprob: f32) -> LogprobItem {
    let bytes = match tokenizer.token_bytes(id) {
        [] => tokenizer.token_text(id).as_bytes(),
        bytes => bytes,
    };
    LogprobItem {
        text: String::from_utf8_lossy(bytes).into_owned(),
        bytes: bytes.to_vec(),
        logprob,
    }
}

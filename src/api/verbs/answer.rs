//! An answer while it is being written.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use crate::api::error::ApiError;
use crate::engine::{EngineError, Event, Generation, Lease, StopReason, TokenLogprob, Usage};
use crate::ops::metrics;
use crate::prompt::ToolCall;
use crate::prompt::output::OutputParser;
use crate::prompt::tools::Piece as Part;

/// What is needed to write an answer.
pub(super) struct Plan {
    pub started: Instant,
    pub lease: Lease,
    /// The prompt as text, before it was cut.
    pub prompt: String,
    pub generation: Generation,
    pub parser: OutputParser,
    /// The constraint holds from the first word after the thoughts on.
    pub constrain_after_thinking: bool,
    pub wants_context: bool,
}

/// An answer; dropping it ends the writing within a step.
pub(crate) struct Answer {
    started: Instant,
    lease: Lease,
    prompt: String,
    events: Receiver<Event>,
    parser: OutputParser,
    /// Everything the model wrote.
    written: String,
    /// What to ask once the thoughts are over, where the answer has a form.
    then: Option<Generation>,
    /// Tokens and times of a pass that was broken off.
    before: Usage,
    wants_context: bool,
    over: Option<Finish>,
    has_ended: bool,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Step {
    /// More of the answer.
    Piece(Piece),
    /// Its end.
    Finish(Finish),
}

/// A part of an answer; never empty as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Piece {
    /// Words.
    pub content: String,
    /// Thoughts.
    pub thinking: String,
    /// Complete calls.
    pub tool_calls: Vec<ToolCall>,
    /// One entry per token, if asked for.
    pub logprobs: Vec<TokenLogprob>,
}

/// How an answer ended and what it took.
#[derive(Clone, Debug)]
pub(crate) struct Finish {
    /// Why.
    pub reason: StopReason,
    /// Tokens and times.
    pub usage: Usage,
    /// Since the request came.
    pub total_duration: Duration,
    /// Until the model was ready.
    pub load_duration: Duration,
    /// Tokens of prompt and answer, where the route hands them out.
    pub context: Option<Vec<u32>>,
}

impl Piece {
    fn of(parts: Vec<Part>, logprobs: Vec<TokenLogprob>) -> Piece {
        let mut piece = Piece {
            logprobs,
            ..Piece::default()
        };
        for part in parts {
            match part {
                Part::Content(text) => piece.content.push_str(&text),
                Part::Thinking(text) => piece.thinking.push_str(&text),
                Part::Call(call) => piece.tool_calls.push(call),
            }
        }
        piece
    }

    fn is_empty(&self) -> bool {
        self.content.is_empty()
            && self.thinking.is_empty()
            && self.tool_calls.is_empty()
            && self.logprobs.is_empty()
    }

    /// Adds what comes after.
    pub(crate) fn append(&mut self, next: Piece) {
        self.content.push_str(&next.content);
        self.thinking.push_str(&next.thinking);
        self.tool_calls.extend(next.tool_calls);
        self.logprobs.extend(next.logprobs);
    }
}

impl Answer {
    pub(super) async fn start(mut plan: Plan) -> Result<Answer, ApiError> {
        let mut then = None;
        if plan.constrain_after_thinking
            && let Some(constraint) = &plan.generation.constraint
        {
            plan.lease.check(constraint, &plan.generation.tenant)?;
            then = Some(plan.generation.clone());
            plan.generation.constraint = None;
        }
        let events = plan.lease.generate(plan.generation).await?;
        Ok(Answer {
            started: plan.started,
            lease: plan.lease,
            prompt: plan.prompt,
            events,
            parser: plan.parser,
            written: String::new(),
            then,
            before: Usage::default(),
            wants_context: plan.wants_context,
            over: None,
            has_ended: false,
        })
    }

    /// The next step; `None` after the end or an error.
    pub(crate) async fn next(&mut self) -> Option<Result<Step, ApiError>> {
        if self.has_ended {
            return None;
        }
        let step = self.step().await;
        self.has_ended = matches!(step, Ok(Step::Finish(_)) | Err(_));
        Some(step)
    }

    /// The whole rest as one piece.
    pub(crate) async fn whole(mut self) -> Result<(Piece, Finish), ApiError> {
        let mut whole = Piece::default();
        loop {
            match self.step().await? {
                Step::Piece(piece) => whole.append(piece),
                Step::Finish(finish) => return Ok((whole, finish)),
            }
        }
    }

    async fn step(&mut self) -> Result<Step, ApiError> {
        loop {
            if let Some(finish) = self.over.take() {
                return Ok(Step::Finish(finish));
            }
            let stopped = || ApiError::from(EngineError::Stopped);
            let piece = match self.events.recv().await.ok_or_else(stopped)? {
                Event::Text {
                    text, mut logprobs, ..
                } => {
                    // The token that ends a turn prints nothing; clients expect tokens that do.
                    let tokenizer = self.lease.tokenizer();
                    let ends = |text: &str| {
                        tokenizer
                            .token_id(text)
                            .is_some_and(|id| tokenizer.is_end_of_generation(id))
                    };
                    logprobs.retain(|token| !ends(&token.token.text));
                    self.written.push_str(&text);
                    let piece = Piece::of(self.parser.push(&text), logprobs);
                    if self.then.is_some() && !piece.content.is_empty() {
                        let spoken = piece.content.len();
                        self.begin_answer(self.written.len().saturating_sub(spoken))
                            .await?;
                        Piece {
                            content: String::new(),
                            ..piece
                        }
                    } else {
                        piece
                    }
                }
                Event::Done {
                    reason: StopReason::Stop,
                    ..
                } if self.then.is_some() => {
                    // Thoughts without an answer; the form asks for one.
                    let closing = self.parser.closing().to_owned();
                    let rest = self.parser.push(&closing);
                    self.written.push_str(&closing);
                    self.begin_answer(self.written.len()).await?;
                    Piece::of(rest, Vec::new())
                }
                Event::Done { reason, usage, .. } => {
                    let rest = self.parser.finish();
                    self.over = Some(self.finish(reason, usage));
                    Piece::of(rest, Vec::new())
                }
                Event::Failed(text) => return Err(EngineError::Step(text).into()),
            };
            if !piece.is_empty() {
                return Ok(Step::Piece(piece));
            }
        }
    }

    /// Breaks the first pass off where the answer begins, `at` bytes into what was written, and has
    /// it written again from there in the form asked for. The cache still holds all before it.
    async fn begin_answer(&mut self, at: usize) -> Result<(), ApiError> {
        let Some(mut generation) = self.then.take() else {
            return Ok(());
        };
        let mut at = at;
        while !self.written.is_char_boundary(at) {
            at -= 1;
        }
        self.written.truncate(at);
        let tokenizer = self.lease.tokenizer();
        let thought = tokenizer.encode(&self.written, wick_models::AddSpecial::No)?;
        self.before.completion_tokens = thought.len();
        if generation.predict > 0 {
            let left = generation.predict - thought.len() as i64;
            generation.predict = left.max(1);
        }
        generation.prompt.extend(thought);
        let room = self.lease.context_tokens();
        let excess = generation
            .prompt
            .len()
            .saturating_sub(room.saturating_sub(1));
        generation.prompt.drain(..excess);
        self.events = self.lease.generate(generation).await?;
        Ok(())
    }

    fn finish(&self, reason: StopReason, usage: Usage) -> Finish {
        let before = self.before.completion_tokens;
        let usage = Usage {
            prompt_tokens: usage.prompt_tokens.saturating_sub(before),
            completion_tokens: usage.completion_tokens + before,
            ..usage
        };
        metrics::answer(self.lease.name(), &usage);
        let context = self.wants_context.then(|| {
            let text = format!("{}{}", self.prompt, self.written);
            let tokens = self
                .lease
                .tokenizer()
                .encode(&text, wick_models::AddSpecial::No);
            tokens.unwrap_or_default()
        });
        Finish {
            reason,
            usage,
            total_duration: self.started.elapsed(),
            load_duration: self.lease.load_duration(),
            context,
        }
    }
}

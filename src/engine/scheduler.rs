//! The thread that owns one decoder: it steps over a batch of all running answers plus a chunk of one prompt.
//!
//! Answers never wait for a long prompt: while any runs, the prompt of a newcomer is taken in small chunks.
//! Prompts start in the order they came, one at a time, so that the next one finds the prefix they share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::{debug, error};
use wick_models::{BLOCK_TOKENS, Decoder, Output, Segment, Tokenizer};

use super::blocks::BlockCache;
use super::constraint::Mask;
use super::sequence::Sequence;
use super::{EngineError, Event, Generation};

/// Pending tokens up to which a sequence counts as decoding and is stepped whole.
pub(super) const DECODING_TOKENS: usize = 16;
/// Prompt tokens per step while answers are running.
const SHARED_CHUNK_TOKENS: usize = 64;
/// Pause when every answer waits for its reader.
const STALLED_PAUSE: Duration = Duration::from_millis(2);
/// Commands that may wait for the thread.
const QUEUE: usize = 1024;

/// Work for the thread.
pub(super) enum Command {
    /// Answers to one prompt; a mask per candidate.
    Generate(Box<Generation>, Vec<Option<Mask>>, mpsc::Sender<Event>),
    /// Mean of the final hidden states of each text.
    Embed(Vec<Vec<u32>>, Reply),
}

/// Where vectors go.
type Reply = oneshot::Sender<Result<Vec<Vec<f32>>, EngineError>>;

/// Texts whose vectors are being worked out.
struct Embedding {
    texts: std::vec::IntoIter<Vec<u32>>,
    vectors: Vec<Vec<f32>>,
    reply: Reply,
}

/// Sizes of one scheduler.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Context of each sequence.
    pub(super) context_tokens: usize,
    /// Prompt tokens in one step.
    pub(super) batch_tokens: usize,
    /// Sequences decoded at a time.
    pub(super) parallel: usize,
    /// Whether there are processors that the forward pass leaves free.
    pub(super) spare: bool,
}

impl Limits {
    /// Blocks that let every sequence fill its context.
    pub(super) fn blocks(&self) -> usize {
        self.parallel * self.context_tokens.div_ceil(BLOCK_TOKENS)
    }
}

/// Starts the thread; it ends, and frees the model, when all senders are gone.
pub(super) fn start(
    decoder: Box<dyn Decoder>,
    tokenizer: Arc<Tokenizer>,
    limits: Limits,
) -> std::io::Result<(mpsc::Sender<Command>, std::thread::JoinHandle<()>)> {
    let (sender, commands) = mpsc::channel(QUEUE);
    let blocks = BlockCache::new(limits.blocks() as u32);
    let scheduler = Scheduler {
        decoder,
        tokenizer,
        limits,
        blocks,
        commands,
        waiting: VecDeque::new(),
        active: Vec::new(),
        embeddings: VecDeque::new(),
        logits: Vec::new(),
    };
    let thread = std::thread::Builder::new()
        .name("wick-scheduler".into())
        .spawn(move || scheduler.run())?;
    Ok((sender, thread))
}

struct Scheduler {
    decoder: Box<dyn Decoder>,
    tokenizer: Arc<Tokenizer>,
    limits: Limits,
    blocks: BlockCache,
    commands: mpsc::Receiver<Command>,
    waiting: VecDeque<Sequence>,
    active: Vec<Sequence>,
    /// The first is the one at work.
    embeddings: VecDeque<Embedding>,
    /// Logits of one step, which sampling changes.
    logits: Vec<f32>,
}

/// The share of one sequence in a step.
struct Share {
    index: usize,
    tokens: usize,
    draws: bool,
}

impl Scheduler {
    fn run(mut self) {
        while self.listen() {
            self.retire();
            self.admit();
            let shares = self.plan();
            let has_embedded = self.embed_next();
            if !shares.is_empty() {
                self.step(&shares);
            } else if !self.active.is_empty() && !has_embedded {
                std::thread::sleep(STALLED_PAUSE);
            }
        }
    }

    /// Takes the commands that are there, waiting for one if there is nothing to do. False: all is over.
    fn listen(&mut self) -> bool {
        if self.is_idle() {
            match self.commands.blocking_recv() {
                Some(command) => self.accept(command),
                None => return false,
            }
        }
        loop {
            match self.commands.try_recv() {
                Ok(command) => self.accept(command),
                Err(mpsc::error::TryRecvError::Empty) => return true,
                Err(mpsc::error::TryRecvError::Disconnected) => {
                    return !self.is_idle();
                }
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.active.is_empty() && self.waiting.is_empty() && self.embeddings.is_empty()
    }

    fn accept(&mut self, command: Command) {
        match command {
            Command::Generate(request, masks, events) => {
                let rows = self.decoder.info().vocab_size;
                let mut prompt = request.prompt.iter();
                if let Some(id) = prompt.find(|&&id| rows > 0 && id as usize >= rows) {
                    // Its own answer fails, not those that would share a step with it.
                    let reason = format!("token {id} is outside the vocabulary of {rows}");
                    let _ = events.try_send(Event::Failed(reason));
                    return;
                }
                for (candidate, mask) in masks.into_iter().enumerate() {
                    let context = self.limits.context_tokens;
                    let sequence =
                        Sequence::new(&request, candidate, context, mask, events.clone());
                    self.waiting.push_back(sequence);
                }
            }
            Command::Embed(texts, reply) => self.embeddings.push_back(Embedding {
                vectors: Vec::with_capacity(texts.len()),
                texts: texts.into_iter(),
                reply,
            }),
        }
    }

    /// Works out the vector of one text, so that answers wait for no more than that; false if there is none to do.
    fn embed_next(&mut self) -> bool {
        let Some(mut job) = self.embeddings.pop_front() else {
            return false;
        };
        if job.reply.is_closed() {
            return true;
        }
        let done = match job.texts.next() {
            Some(text) => self.embed(&text).map(|vector| job.vectors.push(vector)),
            None => Ok(()),
        };
        // The caller may have gone meanwhile; then nobody misses the vectors.
        let _ = match done {
            Err(reason) => job.reply.send(Err(reason)),
            Ok(()) if job.texts.as_slice().is_empty() => job.reply.send(Ok(job.vectors)),
            Ok(()) => {
                self.embeddings.push_front(job);
                return true;
            }
        };
        true
    }

    /// Frees what ended or was cancelled; what it evaluated stays cached.
    fn retire(&mut self) {
        let give_back = |blocks: &mut BlockCache, sequence: &mut Sequence| {
            if let Some(table) = sequence.table.take() {
                blocks.finish(table, &sequence.tokens[..sequence.evaluated]);
            }
        };
        for sequence in &mut self.active {
            sequence.flush();
            if sequence.has_ended() {
                give_back(&mut self.blocks, sequence);
            }
        }
        for mut sequence in self.active.extract_if(.., |s| s.is_over()) {
            // Its reader may have left only now.
            give_back(&mut self.blocks, &mut sequence);
            let age_ms = sequence.age().as_millis() as u64;
            debug!(age_ms, "answer ended");
        }
        self.waiting.retain(|s| !s.is_over());
    }

    /// Starts the next waiting sequence, if there is a place and no prompt is being read.
    fn admit(&mut self) {
        let running = self.active.iter().filter(|s| s.table.is_some()).count();
        let reading = self
            .active
            .iter()
            .any(|s| s.table.is_some() && s.pending() > DECODING_TOKENS);
        // Who asks for the same waits for the whole prompt to be there, and finds it.
        let next = self.waiting.front();
        let is_awaited = next.is_some_and(|next| {
            let mut placed = self.active.iter().filter(|s| s.table.is_some());
            placed.any(|s| s.tenant == next.tenant && s.tokens == next.tokens)
        });
        if running >= self.limits.parallel || reading || is_awaited {
            return;
        }
        if let Some(sequence) = self.waiting.pop_front() {
            self.active.push(sequence);
            self.place(self.active.len() - 1);
        }
    }

    /// Gives a sequence its blocks, with the cached part of its tokens already in them.
    fn place(&mut self, index: usize) {
        let sequence = &mut self.active[index];
        if let Some(old) = sequence.table.take() {
            self.blocks.drop_table(old);
        }
        let sequence = &self.active[index];
        let mut start = if self.decoder.info().paged {
            let others = self.active.iter().filter(|s| s.tenant == sequence.tenant);
            let running =
                others.filter_map(|s| Some((s.table.as_ref()?, &s.tokens[..s.evaluated])));
            let running: Vec<_> = running.collect();
            self.blocks
                .start(&sequence.tenant, &sequence.tokens, &running)
        } else {
            self.blocks.start(&sequence.tenant, &[], &[])
        };
        if let Some((from, to)) = start.copy {
            self.decoder.copy_block(from, to);
        }
        let sequence = &mut self.active[index];
        sequence.begin(start.cached_tokens);
        if self.blocks.grow(&mut start.table, sequence.tokens.len()) {
            sequence.table = Some(start.table);
        } else {
            self.blocks.drop_table(start.table);
            sequence.fail("no cache block is free".into());
        }
    }

    /// Every decoding sequence whole, and a chunk of the first one that still reads its prompt.
    fn plan(&self) -> Vec<Share> {
        let ready = || {
            let active = self.active.iter().enumerate();
            active.filter(|(_, s)| s.table.is_some() && !s.rests())
        };
        let mut shares: Vec<Share> = ready()
            .filter(|(_, s)| s.pending() <= DECODING_TOKENS)
            .map(|(index, s)| Share {
                index,
                tokens: s.pending(),
                draws: true,
            })
            .collect();
        let chunk = match shares.len() {
            0 => self.limits.batch_tokens,
            _ => self.limits.batch_tokens.min(SHARED_CHUNK_TOKENS),
        };
        if let Some((index, s)) = ready().find(|(_, s)| s.pending() > DECODING_TOKENS) {
            let tokens = s.pending().min(chunk);
            shares.push(Share {
                index,
                tokens,
                draws: tokens == s.pending(),
            });
        }
        shares.sort_by_key(|s| s.index);
        shares
    }

    fn step(&mut self, shares: &[Share]) {
        let mut segments = Vec::with_capacity(shares.len());
        let mut masks = Vec::new();
        let mut planned = shares.iter().peekable();
        for (index, sequence) in self.active.iter_mut().enumerate() {
            let Some(share) = planned.next_if(|share| share.index == index) else {
                continue;
            };
            let start = sequence.evaluated;
            let table = sequence.table.as_ref();
            segments.push(Segment {
                tokens: &sequence.tokens[start..start + share.tokens],
                start,
                blocks: table.expect("only placed sequences are planned").ids(),
                output: match share.draws {
                    true => Output::Last,
                    false => Output::None,
                },
            });
            masks.extend(sequence.mask.as_mut().filter(|_| share.draws));
        }
        let row_length = self.decoder.info().vocab_size.max(1);
        // Rows beyond the vocabulary are padding of the output matrix.
        let vocabulary = self.tokenizer.vocab_size().min(row_length);
        // What a grammar allows next follows from the tokens that are there, so it can be found meanwhile. On a processor
        // that takes part in the pass it would only hold up the others.
        let done = match self.limits.spare {
            true => rayon::in_place_scope(|scope| {
                for mask in masks {
                    scope.spawn(|_| _ = mask.prepare());
                }
                self.decoder.forward(&segments)
            }),
            false => self.decoder.forward(&segments),
        };
        match done {
            Ok(logits) => {
                self.logits.clear();
                self.logits.extend_from_slice(logits);
            }
            Err(reason) => return self.abandon(shares, &reason.to_string()),
        }
        let mut rows = self.logits.chunks_exact_mut(row_length);
        for share in shares {
            let sequence = &mut self.active[share.index];
            sequence.evaluated += share.tokens;
            if share.draws {
                let row = rows.next().expect("one row per drawing segment");
                sequence.advance(&mut row[..vocabulary], &self.tokenizer);
            }
        }
        for share in shares {
            self.settle(share.index);
        }
    }

    /// After a step: shares what was evaluated, makes room for the next token.
    fn settle(&mut self, index: usize) {
        let context = self.limits.context_tokens;
        if self.active[index].move_on(context) {
            return self.place(index);
        }
        let sequence = &mut self.active[index];
        if sequence.has_ended() {
            return;
        }
        let Some(mut table) = sequence.table.take() else {
            return;
        };
        if self.decoder.info().paged {
            self.blocks
                .publish(&mut table, &sequence.tokens[..sequence.evaluated]);
        }
        let room = self.blocks.grow(&mut table, sequence.tokens.len());
        sequence.table = Some(table);
        if !room {
            sequence.fail("no cache block is free".into());
        }
    }

    fn abandon(&mut self, shares: &[Share], reason: &str) {
        error!(reason, "a step failed");
        for share in shares {
            let sequence = &mut self.active[share.index];
            if let Some(table) = sequence.table.take() {
                self.blocks.drop_table(table);
            }
            sequence.fail(reason.to_owned());
        }
    }

    fn embed(&mut self, tokens: &[u32]) -> Result<Vec<f32>, EngineError> {
        let mut table = self.blocks.start("", &[], &[]).table;
        if !self.blocks.grow(&mut table, tokens.len()) {
            self.blocks.drop_table(table);
            return Err(EngineError::Busy);
        }
        let sums = self.sum_hidden(tokens, table.ids());
        self.blocks.drop_table(table);
        let count = tokens.len().max(1) as f32;
        Ok(sums?.into_iter().map(|s| s / count).collect())
    }

    fn sum_hidden(&mut self, tokens: &[u32], blocks: &[u32]) -> Result<Vec<f32>, EngineError> {
        let width = self.decoder.info().embedding_length;
        let mut sums = vec![0.0; width];
        for (chunk, part) in tokens.chunks(self.limits.batch_tokens).enumerate() {
            let start = chunk * self.limits.batch_tokens;
            let segment = Segment {
                tokens: part,
                start,
                blocks,
                output: Output::None,
            };
            for row in self.decoder.hidden(&[segment])?.chunks_exact(width) {
                sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
            }
        }
        Ok(sums)
    }
}

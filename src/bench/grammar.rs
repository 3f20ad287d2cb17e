//! What a grammar costs while decoding, measured through the engine as requests meet it: the same prompt with and
//! without the grammar of SQL over a schema, in turns.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use wick_models::{AddSpecial, KvType};

use super::{median, spread};
use crate::engine::{
    Constraint, Engine, EngineConfig, EngineError, Event, Generation, KeepAlive, Lease,
    LoadOptions, LoadRequest, Sampling, Usage,
};
use crate::sql::{Dialect, Schema, SqlError, grammar, link};

/// Context of the model; the prompt is a schema and a question.
const CONTEXT_TOKENS: usize = 4096;
/// Answers of one turn at most: a model may end each after a token or two.
const MOST_ANSWERS: usize = 200;
/// Asks for nothing that a schema would have to have.
const QUESTION: &str = "How many rows are there in each group, and which groups have the most?";

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The GGUF file.
    pub gguf: PathBuf,
    /// `CREATE TABLE` statements of PostgreSQL whose names the grammar allows.
    pub ddl: String,
    /// Tokens decoded in one turn, at least.
    pub decode_tokens: usize,
    /// Turns with and without, after one of each that is not timed.
    pub repeats: usize,
    /// Threads of the forward pass; `None`: the physical cores.
    pub threads: Option<usize>,
    /// Kernel table by name; `None`: the fastest.
    pub isa: Option<String>,
    /// How the cache stores keys and values.
    pub kv_type: KvType,
}

/// What was measured; rates are medians over turns, in tokens per second.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Without a grammar.
    pub free_tokens_per_second: Option<f64>,
    /// Lowest and highest of these.
    pub free_spread: Option<[f64; 2]>,
    /// Under the grammar. Tokens that it forces count: who waits for the answer does not wait for them.
    pub held_tokens_per_second: Option<f64>,
    /// Lowest and highest of these.
    pub held_spread: Option<[f64; 2]>,
    /// Median share of the decode time under the grammar that was spent on it: masks made and applied, tokens
    /// taken in. 0.05 is five parts of a hundred.
    pub grammar_share: Option<f64>,
    /// Lowest and highest of these.
    pub grammar_share_spread: Option<[f64; 2]>,
    /// Microseconds per token of the same.
    pub grammar_microseconds_per_token: Option<f64>,
    /// Size of the grammar as text.
    pub grammar_bytes: usize,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the vocabulary: a mask has one place for each.
    pub vocabulary: usize,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum GrammarBenchError {
    /// The DDL cannot be read.
    #[error("the schema cannot be read: {0}")]
    Schema(#[from] SqlError),
    /// The model cannot be loaded or asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The prompt cannot be made into tokens.
    #[error(transparent)]
    Model(#[from] wick_models::Error),
    /// A step failed.
    #[error("a step failed: {0}")]
    Step(String),
}

/// Runs the plan.
///
/// # Errors
/// A schema or a model that cannot be used.
pub async fn run(plan: &Plan) -> Result<Report, GrammarBenchError> {
    let schema = Schema::from_ddl(&plan.ddl, Dialect::Postgres)?;
    let lark = grammar::lark(&schema);
    let engine = Engine::new(EngineConfig {
        keep_alive: KeepAlive::Forever,
        parallel: Some(1),
        max_loaded_models: 1,
        max_queue: 1,
        context_tokens: CONTEXT_TOKENS,
        threads: plan.threads,
        isa: plan.isa.clone(),
        kv_type: plan.kv_type,
        memory_limit_bytes: None,
    });
    let request = LoadRequest {
        name: "bench".to_owned(),
        path: plan.gguf.clone(),
        options: LoadOptions::default(),
        keep_alive: None,
    };
    let lease = engine.load(request).await?;
    let text = format!("{}\nQuestion: {QUESTION}", link::ddl(&schema));
    let prompt = lease.tokenizer().encode(&text, AddSpecial::Yes)?;
    let vocabulary = lease.tokenizer().vocab_size();
    let mut subject = Subject {
        lease,
        prompt,
        decode_tokens: plan.decode_tokens,
        seed: 0,
    };
    let held = Some(Constraint::Lark(lark.clone()));
    let (mut free_rates, mut held_rates) = (Vec::new(), Vec::new());
    let (mut shares, mut costs) = (Vec::new(), Vec::new());
    for turn in 0..=plan.repeats.max(1) {
        let free = subject.turn(None).await?;
        let held = subject.turn(held.clone()).await?;
        if turn == 0 {
            continue;
        }
        free_rates.extend(free.rate());
        held_rates.extend(held.rate());
        shares.extend(held.share());
        costs.extend(held.cost_microseconds());
    }
    Ok(Report {
        free_tokens_per_second: median(&free_rates),
        free_spread: spread(&free_rates),
        held_tokens_per_second: median(&held_rates),
        held_spread: spread(&held_rates),
        grammar_share: median(&shares),
        grammar_share_spread: spread(&shares),
        grammar_microseconds_per_token: median(&costs),
        grammar_bytes: lark.len(),
        prompt_tokens: subject.prompt.len(),
        vocabulary,
    })
}

struct Subject {
    lease: Lease,
    prompt: Vec<u32>,
    decode_tokens: usize,
    seed: i64,
}

impl Subject {
    /// Answers until there are tokens enough. Each answer is drawn with a seed of its own, so that they differ.
    async fn turn(&mut self, constraint: Option<Constraint>) -> Result<Decoded, GrammarBenchError> {
        let mut decoded = Decoded::default();
        for _ in 0..MOST_ANSWERS {
            if decoded.tokens >= self.decode_tokens {
                break;
            }
            self.seed += 1;
            decoded.add(&self.answer(constraint.clone()).await?);
        }
        Ok(decoded)
    }

    async fn answer(&self, constraint: Option<Constraint>) -> Result<Usage, GrammarBenchError> {
        let generation = Generation {
            prompt: self.prompt.clone(),
            sampling: Sampling {
                seed: self.seed,
                ..Sampling::default()
            },
            predict: i64::try_from(self.decode_tokens).unwrap_or(i64::MAX),
            keep: 0,
            shift: false,
            stop: Vec::new(),
            printed: Vec::new(),
            logprobs: None,
            candidates: 1,
            tenant: String::new(),
            constraint,
        };
        let mut events = self.lease.generate(generation).await?;
        while let Some(event) = events.recv().await {
            match event {
                Event::Text { .. } => {}
                Event::Done { usage, .. } => return Ok(usage),
                Event::Failed(reason) => return Err(GrammarBenchError::Step(reason)),
            }
        }
        Err(EngineError::Stopped.into())
    }
}

/// What the answers of one turn took.
#[derive(Clone, Copy, Debug, Default)]
struct Decoded {
    /// Tokens after the first one of each answer, which ends the reading of the prompt.
    tokens: usize,
    time: Duration,
    on_grammar: Duration,
}

impl Decoded {
    fn add(&mut self, usage: &Usage) {
        self.tokens += usage.completion_tokens.saturating_sub(1);
        self.time += usage.completion_duration;
        self.on_grammar += usage.constraint_duration;
    }

    fn rate(&self) -> Option<f64> {
        let seconds = self.time.as_secs_f64();
        (seconds > 0.0).then(|| self.tokens as f64 / seconds)
    }

    fn share(&self) -> Option<f64> {
        let seconds = self.time.as_secs_f64();
        (seconds > 0.0).then(|| self.on_grammar.as_secs_f64() / seconds)
    }

    fn cost_microseconds(&self) -> Option<f64> {
        let tokens = self.tokens as f64;
        (self.tokens > 0).then(|| self.on_grammar.as_secs_f64() * 1e6 / tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_time_after_the_first_token() {
        let mut decoded = Decoded::default();
        let usage = Usage {
            completion_tokens: 11,
            completion_duration: Duration::from_millis(100),
            constraint_duration: Duration::from_millis(2),
            ..Usage::default()
        };
        decoded.add(&usage);
        decoded.add(&usage);
        assert_eq!(decoded.rate(), Some(100.0));
        assert_eq!(decoded.share(), Some(0.02));
        assert_eq!(decoded.cost_microseconds(), Some(200.0));
        assert_eq!(Decoded::default().rate(), None);
    }
}

//! Loaded models and what they can be asked: generate text from tokens, turn tokens into vectors.
//!
//! Every loaded model has one thread that owns its weights and cache (`scheduler`, `encoder`); async code
//! holds a [`Lease`] and talks to that thread over bounded channels. Nothing here knows HTTP.

mod blocks;
mod constraint;
mod cycle;
mod embedder;
mod manager;
mod memory;
mod sampler;
mod scheduler;
mod sequence;
mod stop;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use wick_models::KvType;

pub use manager::{Engine, Lease, kernels};
pub use sampler::Sampling;

/// How long an idle model stays loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeepAlive {
    /// This long after its last request; zero unloads as soon as it is idle.
    For(Duration),
    /// Until the process ends or the memory is needed.
    Forever,
}

/// What an [`Engine`] may use.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Idle time before a model is unloaded, unless a request says otherwise.
    pub keep_alive: KeepAlive,
    /// Sequences one model decodes at a time; further requests wait their turn. `None`: four, fewer where the
    /// context is long.
    pub parallel: Option<usize>,
    /// Models loaded at a time.
    pub max_loaded_models: usize,
    /// Requests that may wait for a model to load before further ones are refused.
    pub max_queue: usize,
    /// Context of models whose request names none, in tokens; at most what the model was trained on.
    pub context_tokens: usize,
    /// Threads of one model's forward pass; `None`: the physical cores this process may use.
    pub threads: Option<usize>,
    /// Kernel table to use (`scalar`, `avx2`, ...); `None`: the fastest that runs here.
    pub isa: Option<String>,
    /// How caches store keys and values.
    pub kv_type: KvType,
    /// Memory all loaded models may take together, in bytes; `None`: what the machine has, less a reserve.
    pub memory_limit_bytes: Option<u64>,
}

/// A model to have in memory, and how.
#[derive(Clone, Debug)]
pub struct LoadRequest {
    /// The name `/api/ps` shows.
    pub name: String,
    /// The GGUF file; it is the identity of a loaded model, whatever names lead to it.
    pub path: PathBuf,
    /// What cannot be changed without loading again.
    pub options: LoadOptions,
    /// `None` keeps the value of the loaded model, or takes the configured one at the first load.
    pub keep_alive: Option<KeepAlive>,
}

/// Options that take effect when a model is loaded; `None` accepts what a loaded model has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// Context in tokens (`num_ctx`).
    pub context_tokens: Option<usize>,
    /// Prompt tokens evaluated in one step (`num_batch`).
    pub batch_tokens: Option<usize>,
    /// Threads of the forward pass (`num_thread`).
    pub threads: Option<usize>,
}

/// A loaded model as `/api/ps` lists it.
#[derive(Clone, Debug)]
pub struct Running {
    /// The name it was loaded by.
    pub name: String,
    /// Its GGUF file.
    pub path: PathBuf,
    /// Weights, cache and buffers, in bytes.
    pub size_bytes: u64,
    /// When it will be unloaded if nothing asks for it; `None`: never.
    pub expires_at: Option<SystemTime>,
    /// Context in tokens.
    pub context_tokens: usize,
}

/// One request for text.
#[derive(Clone, Debug)]
pub struct Generation {
    /// Prompt, special tokens included; never empty. Longer than the context is an error.
    pub prompt: Vec<u32>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tokens to generate at most (`num_predict`); zero or less: open-ended. Bounded by ten contexts either way.
    pub predict: i64,
    /// Tokens kept at the start when the context is full and moves on (`num_keep`); -1: the whole prompt.
    pub keep: i64,
    /// Whether a full context moves on (dropping the oldest half) instead of ending the answer.
    pub shift: bool,
    /// Texts that end the answer and are not part of it.
    pub stop: Vec<String>,
    /// Control tokens whose text is part of the answer, where others print nothing: those that announce calls of tools.
    pub printed: Vec<u32>,
    /// `Some(n)`: log-probabilities of each token and of the `n` best ones at its place.
    pub logprobs: Option<usize>,
    /// Answers to draw from one prompt, at least 1; candidate `i` draws with `seed + i`.
    pub candidates: usize,
    /// Prefixes are shared between requests of one tenant only.
    pub tenant: String,
    /// What the text must match.
    pub constraint: Option<Constraint>,
}

/// A form that generated text is held to, token by token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Constraint {
    /// Any JSON object.
    Json,
    /// JSON that a schema accepts.
    Schema(serde_json::Value),
    /// Text that a grammar accepts, in the Lark dialect of `llguidance`.
    Lark(String),
    /// The same, for a text that has no reason to repeat itself: it ends when it goes round in circles.
    Brief(String),
}

/// What a generation says while it runs; every candidate ends with one `Done`, or all with one `Failed`.
#[derive(Clone, Debug)]
pub enum Event {
    /// More text (never a part of a character) and the log-probabilities of the tokens behind it.
    Text {
        /// Which answer.
        candidate: usize,
        /// May be empty only where log-probabilities are due.
        text: String,
        /// One entry per token since the last event, if they were asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// The end of one candidate.
    Done {
        /// Which answer.
        candidate: usize,
        /// Why it ended.
        reason: StopReason,
        /// What it took.
        usage: Usage,
    },
    /// The step failed; nothing follows.
    Failed(String),
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The model ended its turn or a stop text was met.
    Stop,
    /// The token limit, the context where it may not move on, or a cycle in a text that is to be brief.
    Length,
}

/// Tokens and times of one candidate.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// The whole prompt, cached part included.
    pub prompt_tokens: usize,
    /// Prompt tokens whose cache was found ready.
    pub cached_tokens: usize,
    /// Tokens drawn, the one that ended the turn included.
    pub completion_tokens: usize,
    /// From the first prompt step to the first token.
    pub prompt_duration: Duration,
    /// From the first token to the last.
    pub completion_duration: Duration,
    /// What of it went into holding the answer to its form.
    pub constraint_duration: Duration,
}

/// A token with its log-probability before any sampling option is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token and its bytes.
    pub token: LogprobItem,
    /// The best tokens at this place, best first; as many as were asked for.
    pub top: Vec<LogprobItem>,
}

/// One token's share in [`TokenLogprob`].
#[derive(Clone, Debug, PartialEq)]
pub struct LogprobItem {
    /// Text, with replacement characters where the bytes are part of a character.
    pub text: String,
    /// The bytes it stands for.
    pub bytes: Vec<u8>,
    /// Natural logarithm of its probability.
    pub logprob: f32,
}

/// Why the engine could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file could not be made into a model.
    #[error("{0}")]
    Load(#[from] wick_models::Error),
    /// The model does not fit.
    #[error("model requires more system memory ({needed}) than is available ({available})")]
    OutOfMemory {
        /// Human-readable size.
        needed: String,
        /// Human-readable size.
        available: String,
    },
    /// Too many requests wait for a model to load.
    #[error("server busy, please try again.  maximum pending requests exceeded")]
    Busy,
    /// The prompt does not fit the context.
    #[error("the prompt has {prompt_tokens} tokens, the context holds {context_tokens}")]
    PromptTooLong {
        /// Tokens of the prompt.
        prompt_tokens: usize,
        /// Tokens the context holds.
        context_tokens: usize,
    },
    /// The model cannot do this kind of work.
    #[error("this model does not support {0}")]
    Unsupported(&'static str),
    /// A constraint that cannot be compiled.
    #[error("{0}")]
    Constraint(String),
    /// `WICK_ISA` names a kernel table this machine cannot run.
    #[error("kernels '{asked}' do not run here; available: {available}")]
    Isa {
        /// What was asked for.
        asked: String,
        /// What runs here.
        available: String,
    },
    /// The forward pass failed.
    #[error("an error was encountered while running the model: {0}")]
    Step(String),
    /// The model's thread is gone.
    #[error(
        "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, check the server logs for details"
    )]
    Stopped,
}

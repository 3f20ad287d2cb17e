//! From a file to a model that answers.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use tracing::warn;
use wick_models::{
    Decoder, Encoder, Gguf, Kernels, Tokenizer, default_threads, is_encoder, load_decoder,
};

use super::{Idle, Loaded, Worker};
use crate::engine::embedder;
use crate::engine::scheduler::{self, Limits};
use crate::engine::{EngineConfig, EngineError, LoadOptions, LoadRequest};

/// Prompt tokens in one step where a request names no `num_batch`: enough to use the weights well, few
/// enough that a cancelled request is gone within a second on a small machine.
const BATCH_TOKENS: usize = 256;
/// Sequences decoded at a time by default, as long as their contexts sum up to no more than
/// [`SHARED_CONTEXT_TOKENS`].
const PARALLEL: usize = 4;
/// Tokens of cache all sequences of a model share by default; a single longer context is still given whole.
const SHARED_CONTEXT_TOKENS: usize = 32_768;
/// Most prompt tokens in one step; buffers grow with it.
const BATCH_TOKENS_MAX: usize = 2048;
/// More threads than this are a mistake.
const THREADS_MAX: usize = 1024;
/// The smallest context.
const CONTEXT_TOKENS_MIN: usize = 4;

/// Reads the model and starts its thread.
pub(super) fn load(
    config: &EngineConfig,
    request: LoadRequest,
    gguf: Gguf,
) -> Result<Loaded, EngineError> {
    let threads = request
        .options
        .threads
        .or(config.threads)
        .filter(|&n| n > 0);
    let options = wick_models::LoadOptions {
        threads: threads.unwrap_or_else(default_threads).min(THREADS_MAX),
        kernels: kernels(config.isa.as_deref())?,
        kv_type: config.kv_type,
    };
    let context = context_tokens(config, &gguf, request.options);
    let (tokenizer, weights) = read(&gguf, &options)?;
    drop(gguf);
    let tokenizer = Arc::new(tokenizer);
    let started = match weights {
        Weights::Encoder(encoder) => {
            let trained = encoder.info().context_tokens;
            let size_bytes = encoder.resident_bytes() as u64;
            let (worker, thread) = embedder::start(encoder).map_err(thread_error)?;
            (Worker::Encoder(worker), thread, trained, size_bytes)
        }
        Weights::Decoder(decoder) => {
            let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
            let spare = processors > options.threads;
            start_decoder(config, &request, decoder, &tokenizer, context, spare)?
        }
    };
    let (worker, thread, trained_context_tokens, size_bytes) = started;
    Ok(Loaded {
        name: request.name,
        path: request.path,
        options: request.options,
        tokenizer,
        grammars: OnceLock::new(),
        context_tokens: clamp_context(context, trained_context_tokens),
        trained_context_tokens,
        size_bytes,
        worker,
        thread: Mutex::new(Some(thread)),
        idle: Mutex::new(Idle {
            in_flight: 1,
            keep_alive: request.keep_alive.unwrap_or(config.keep_alive),
            since: Instant::now(),
        }),
    })
}

enum Weights {
    Encoder(Encoder),
    Decoder(Box<dyn Decoder>),
}

/// Reads vocabulary and weights side by side: the vocabulary keeps one thread busy for a while, and packing waits
/// for memory and for the disk.
fn read(
    gguf: &Gguf,
    options: &wick_models::LoadOptions,
) -> Result<(Tokenizer, Weights), EngineError> {
    std::thread::scope(|scope| {
        let tokenizer = std::thread::Builder::new()
            .name("wick-vocabulary".to_owned())
            .spawn_scoped(scope, || Tokenizer::from_gguf(gguf))
            .map_err(thread_error)?;
        let weights = if is_encoder(gguf) {
            Encoder::load(gguf, options).map(Weights::Encoder)
        } else {
            load_decoder(gguf, options).map(Weights::Decoder)
        };
        let tokenizer = match tokenizer.join() {
            Ok(tokenizer) => tokenizer?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        Ok((tokenizer, weights?))
    })
}

type Started = (Worker, JoinHandle<()>, usize, u64);

fn start_decoder(
    config: &EngineConfig,
    request: &LoadRequest,
    mut decoder: Box<dyn Decoder>,
    tokenizer: &Arc<Tokenizer>,
    context: usize,
    spare: bool,
) -> Result<Started, EngineError> {
    let trained = decoder.info().context_tokens;
    let context_tokens = clamp_context(context, trained);
    let batch = request
        .options
        .batch_tokens
        .unwrap_or(BATCH_TOKENS)
        .clamp(1, BATCH_TOKENS_MAX);
    let limits = Limits {
        context_tokens,
        batch_tokens: batch.min(context_tokens),
        parallel: if decoder.info().paged {
            parallel(config, context_tokens)
        } else {
            1
        },
        spare,
    };
    let rows = limits.batch_tokens + limits.parallel * scheduler::DECODING_TOKENS;
    decoder.reserve(limits.blocks(), rows)?;
    let size_bytes = decoder.resident_bytes() as u64;
    let (worker, thread) =
        scheduler::start(decoder, tokenizer.clone(), limits).map_err(thread_error)?;
    Ok((Worker::Decoder(worker), thread, trained, size_bytes))
}

fn thread_error(reason: std::io::Error) -> EngineError {
    warn!(%reason, "no thread for a model");
    EngineError::Stopped
}

/// The kernel table of this name; `None` leaves the choice to the models.
///
/// # Errors
/// A name that no table of this machine has.
pub fn kernels(isa: Option<&str>) -> Result<Option<&'static Kernels>, EngineError> {
    let Some(asked) = isa else { return Ok(None) };
    let available = Kernels::available();
    let name = |k: &Kernels| k.isa.name().to_ascii_lowercase();
    match available
        .iter()
        .find(|k| name(k).starts_with(&asked.to_ascii_lowercase()))
    {
        Some(kernels) => Ok(Some(kernels)),
        None => Err(EngineError::Isa {
            asked: asked.to_owned(),
            available: available
                .iter()
                .map(|k| name(k))
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

pub(super) fn context_tokens(config: &EngineConfig, gguf: &Gguf, options: LoadOptions) -> usize {
    let trained = gguf
        .arch_u64("context_length")
        .ok()
        .flatten()
        .unwrap_or(u64::MAX);
    let asked = options.context_tokens.unwrap_or(config.context_tokens);
    clamp_context(asked, usize::try_from(trained).unwrap_or(usize::MAX))
}

/// Sequences decoded at a time where the configuration leaves it open.
pub(super) fn parallel(config: &EngineConfig, context_tokens: usize) -> usize {
    let fitting = || (SHARED_CONTEXT_TOKENS / context_tokens.max(1)).clamp(1, PARALLEL);
    config.parallel.unwrap_or_else(fitting).max(1)
}

pub(super) fn clamp_context(asked: usize, trained: usize) -> usize {
    asked.min(trained).max(CONTEXT_TOKENS_MIN.min(trained))
}

//! Measures one model file: prompt and decode rates, load time, memory, beside what the machine can read.

pub mod grammar;

use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use wick_models::{
    AddSpecial, BLOCK_TOKENS, Decoder, Error, Gguf, Kernels, KvType, LoadOptions, Output, Parallel,
    Pool, Segment, Tokenizer, default_threads, load_candle, load_decoder,
};

/// Prompt tokens in one step.
const STEP_TOKENS: usize = 512;
/// Bytes read per pass when the machine's read rate is measured; far beyond any cache.
const READ_BYTES: usize = 512 << 20;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The GGUF file.
    pub gguf: PathBuf,
    /// Tokens of the prompt; zero skips it.
    pub prompt_tokens: usize,
    /// Tokens to decode per sequence; zero skips it.
    pub decode_tokens: usize,
    /// Tokens in the cache before either starts.
    pub depth_tokens: usize,
    /// Sequences decoded in one batch.
    pub batch: usize,
    /// Threads of the forward pass; zero: the physical cores.
    pub threads: usize,
    /// Timed runs, after one that is not.
    pub repeats: usize,
    /// Kernel table; `None`: the fastest.
    pub kernels: Option<&'static Kernels>,
    /// How the cache stores keys and values.
    pub kv_type: KvType,
    /// Whether candle's `quantized_llama` runs alternately on the same file.
    pub candle: bool,
}

/// What was measured; rates are medians in tokens per second.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of one prompt.
    pub prompt_tokens_per_second: Option<f64>,
    /// Of all sequences of the batch together.
    pub decode_tokens_per_second: Option<f64>,
    /// Lowest and highest prompt rate.
    pub prompt_spread: Option<[f64; 2]>,
    /// Lowest and highest decode rate.
    pub decode_spread: Option<[f64; 2]>,
    /// From opening the file to ready weights.
    pub load_seconds: f64,
    /// Memory of the process once the runs are over, before any peer is loaded.
    pub resident_bytes: u64,
    /// Weights and cache read per second while decoding.
    pub read_bytes_per_second: Option<f64>,
    /// What the machine reads per second with as many threads, measured in this run.
    pub memory_bytes_per_second: f64,
    /// Kernel table in use.
    pub isa: String,
    /// How the cache stores keys and values.
    pub kv_type: &'static str,
    /// Threads of the forward pass.
    pub threads: usize,
    /// Size of the file.
    pub file_bytes: u64,
    /// The same rates of candle, measured alternately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candle: Option<PeerRates>,
}

/// A peer's medians in tokens per second.
#[derive(Clone, Debug, Serialize)]
pub struct PeerRates {
    /// Of one prompt.
    pub prompt_tokens_per_second: Option<f64>,
    /// Of one sequence.
    pub decode_tokens_per_second: Option<f64>,
}

/// Runs the plan.
pub fn run(plan: &Plan) -> Result<Report, Error> {
    let started = Instant::now();
    let gguf = Gguf::open(&plan.gguf)?;
    let threads = match plan.threads {
        0 => default_threads(),
        threads => threads,
    };
    let options = LoadOptions {
        threads,
        kernels: plan.kernels,
        kv_type: plan.kv_type,
    };
    let decoder = load_decoder(&gguf, &options)?;
    let load_seconds = started.elapsed().as_secs_f64();
    let weight_bytes = decoder.resident_bytes();
    let file_bytes = gguf.file_bytes();
    // The weights are packed; the mapped file would count as resident.
    drop(gguf);
    let mut own = Subject::new(decoder, plan, plan.batch.max(1))?;
    own.once(plan)?;
    let resident_bytes = resident_bytes();
    let mut peer = match plan.candle {
        true => Some(Subject::new(
            load_candle(&Gguf::open(&plan.gguf)?)?,
            plan,
            1,
        )?),
        false => None,
    };
    if let Some(peer) = &mut peer {
        peer.once(plan)?;
    }
    let (mut rates, mut peer_rates) = (Rates::default(), Rates::default());
    for _ in 0..plan.repeats.max(1) {
        rates.add(own.once(plan)?);
        if let Some(peer) = &mut peer {
            peer_rates.add(peer.once(plan)?);
        }
    }
    let read = own.cache_bytes(plan) + weight_bytes;
    let decode = median(&rates.decode);
    let steps = decode.map(|rate| rate / own.sequences.len() as f64);
    Ok(Report {
        prompt_tokens_per_second: median(&rates.prompt),
        decode_tokens_per_second: decode,
        prompt_spread: spread(&rates.prompt),
        decode_spread: spread(&rates.decode),
        load_seconds,
        resident_bytes,
        read_bytes_per_second: steps.map(|steps| steps * read as f64),
        memory_bytes_per_second: memory_bytes_per_second(threads),
        isa: own.decoder.isa().to_owned(),
        kv_type: plan.kv_type.name(),
        threads,
        file_bytes,
        candle: peer.map(|_| PeerRates {
            prompt_tokens_per_second: median(&peer_rates.prompt),
            decode_tokens_per_second: median(&peer_rates.decode),
        }),
    })
}

/// How well a model foretells a text.
#[derive(Clone, Debug, Serialize)]
pub struct Foretold {
    /// exp of the mean of minus the log-probability of every token that was scored.
    pub perplexity: f64,
    /// Tokens scored.
    pub tokens: usize,
    /// Kernel table in use.
    pub isa: String,
}

/// Perplexity of a text, which is cut into windows of 512 tokens (or of the model's context, where that is shorter).
/// Every token but the first of a window is scored, given those before it in the window.
pub fn perplexity(plan: &Plan, text: &str) -> Result<Foretold, Error> {
    let gguf = Gguf::open(&plan.gguf)?;
    let tokens = Tokenizer::from_gguf(&gguf)?.encode(text, AddSpecial::Yes)?;
    let options = LoadOptions {
        threads: plan.threads,
        kernels: plan.kernels,
        kv_type: plan.kv_type,
    };
    let mut decoder = load_decoder(&gguf, &options)?;
    drop(gguf);
    let vocabulary = decoder.info().vocab_size;
    let window_tokens = STEP_TOKENS.min(decoder.info().context_tokens);
    let blocks: Vec<u32> = (0..window_tokens.div_ceil(BLOCK_TOKENS) as u32).collect();
    decoder.reserve(blocks.len(), window_tokens)?;
    let (mut loss, mut scored) = (0.0, 0);
    for tokens in tokens.chunks(window_tokens) {
        let segment = Segment {
            tokens,
            start: 0,
            blocks: &blocks,
            output: Output::All,
        };
        let logits = decoder.forward(&[segment])?;
        let rows = logits.chunks_exact(vocabulary).zip(&tokens[1..]);
        loss += rows.map(|(row, &next)| surprise(row, next)).sum::<f64>();
        scored += tokens.len() - 1;
    }
    Ok(Foretold {
        perplexity: (loss / scored as f64).exp(),
        tokens: scored,
        isa: decoder.isa().to_owned(),
    })
}

/// Minus the log-probability of `token`.
fn surprise(logits: &[f32], token: u32) -> f64 {
    let most = logits.iter().copied().fold(f32::MIN, f32::max) as f64;
    let sum: f64 = logits.iter().map(|&x| (x as f64 - most).exp()).sum();
    most + sum.ln() - logits[token as usize] as f64
}

#[derive(Default)]
struct Rates {
    prompt: Vec<f64>,
    decode: Vec<f64>,
}

impl Rates {
    fn add(&mut self, (prompt, decode): (Option<f64>, Option<f64>)) {
        self.prompt.extend(prompt);
        self.decode.extend(decode);
    }
}

/// One decoder with the cache blocks of its sequences.
struct Subject {
    decoder: Box<dyn Decoder>,
    sequences: Vec<Vec<u32>>,
}

impl Subject {
    fn new(mut decoder: Box<dyn Decoder>, plan: &Plan, batch: usize) -> Result<Self, Error> {
        let tokens = plan.depth_tokens + plan.prompt_tokens.max(plan.decode_tokens) + 1;
        let blocks = tokens.div_ceil(BLOCK_TOKENS);
        decoder.reserve(blocks * batch, STEP_TOKENS.max(batch))?;
        let first = |sequence: usize| (sequence * blocks) as u32;
        let sequences = (0..batch)
            .map(|s| (first(s)..first(s + 1)).collect())
            .collect();
        Ok(Self { decoder, sequences })
    }

    /// Prompt and decode rate of one run.
    fn once(&mut self, plan: &Plan) -> Result<(Option<f64>, Option<f64>), Error> {
        let mut rates = (None, None);
        if plan.prompt_tokens > 0 {
            self.read(0, 0, plan.depth_tokens)?;
            let started = Instant::now();
            self.read(0, plan.depth_tokens, plan.prompt_tokens)?;
            rates.0 = Some(plan.prompt_tokens as f64 / started.elapsed().as_secs_f64());
        }
        if plan.decode_tokens > 0 {
            for sequence in 0..self.sequences.len() {
                self.read(sequence, 0, plan.depth_tokens)?;
            }
            let started = Instant::now();
            for position in 0..plan.decode_tokens {
                self.decode(plan.depth_tokens + position)?;
            }
            let tokens = plan.decode_tokens * self.sequences.len();
            rates.1 = Some(tokens as f64 / started.elapsed().as_secs_f64());
        }
        Ok(rates)
    }

    fn read(&mut self, sequence: usize, from: usize, count: usize) -> Result<(), Error> {
        let vocabulary = self.decoder.info().vocab_size;
        for start in (from..from + count).step_by(STEP_TOKENS) {
            let end = (start + STEP_TOKENS).min(from + count);
            let tokens: Vec<u32> = (start..end).map(|at| token(at, vocabulary)).collect();
            let blocks = &self.sequences[sequence];
            let segment = Segment {
                tokens: &tokens,
                start,
                blocks,
                output: Output::Last,
            };
            black_box(self.decoder.forward(&[segment])?);
        }
        Ok(())
    }

    fn decode(&mut self, position: usize) -> Result<(), Error> {
        let tokens = [token(position, self.decoder.info().vocab_size)];
        let sequences = self.sequences.iter();
        let segments: Vec<Segment<'_>> = sequences
            .map(|blocks| Segment {
                tokens: &tokens,
                start: position,
                blocks,
                output: Output::Last,
            })
            .collect();
        black_box(self.decoder.forward(&segments)?);
        Ok(())
    }

    fn cache_bytes(&self, plan: &Plan) -> usize {
        let tokens = plan.depth_tokens + plan.decode_tokens / 2;
        self.decoder.info().kv_bytes_per_token * tokens * self.sequences.len()
    }
}

/// A token id that looks random and is the same in every run.
fn token(position: usize, vocabulary: usize) -> u32 {
    ((position.wrapping_mul(2_654_435_761) >> 7) % vocabulary.max(1)) as u32
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

fn spread(values: &[f64]) -> Option<[f64; 2]> {
    let lowest = values.iter().copied().min_by(f64::total_cmp)?;
    let highest = values.iter().copied().max_by(f64::total_cmp)?;
    Some([lowest, highest])
}

/// Bytes per second that `threads` threads read from memory together, the best of five passes.
fn memory_bytes_per_second(threads: usize) -> f64 {
    let data = vec![1u64; READ_BYTES / 8];
    let pool = Pool::new(threads);
    let share = data.len().div_ceil(pool.threads());
    let sum = |part: &[u64]| {
        let (chunks, _) = part.as_chunks::<16>();
        let mut sums = [0u64; 16];
        for chunk in chunks {
            sums.iter_mut()
                .zip(chunk)
                .for_each(|(sum, x)| *sum = sum.wrapping_add(*x));
        }
        black_box(sums);
    };
    let pass = |_| {
        let started = Instant::now();
        pool.run(&|thread| {
            if let Some(part) = data.chunks(share).nth(thread) {
                sum(part);
            }
        });
        READ_BYTES as f64 / started.elapsed().as_secs_f64()
    };
    (0..5).map(pass).fold(0.0, f64::max)
}

/// Resident memory of this process; zero where the system does not tell.
pub(crate) fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    let kib = line.and_then(|l| l.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_spreads_of_odd_and_empty_lists() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some([1.0, 3.0]));
        assert_eq!((median(&[]), spread(&[])), (None, None));
    }

    #[test]
    fn even_odds_surprise_by_the_logarithm_of_the_choices() {
        assert!((surprise(&[0.5; 8], 3) - 8f64.ln()).abs() < 1e-12);
        let sure = surprise(&[-1e4, 1e4], 1);
        assert!((0.0..1e-12).contains(&sure), "{sure}");
    }

    #[test]
    fn tokens_stay_in_the_vocabulary_and_vary() {
        let tokens: std::collections::HashSet<u32> = (0..100).map(|at| token(at, 512)).collect();
        assert!(tokens.len() > 50 && tokens.iter().all(|&t| t < 512));
    }
}

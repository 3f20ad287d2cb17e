//! Prompt and decode rates of a model file:
//! `cargo run -p wick-models --release --example speed -- FILE -p 512 -n 64 -t 2 [-r RUNS] [-d DEPTH] [-b SEQUENCES] [-k ISA] [-c CACHE]`.
//!
//! Prints tokens per second of the best run, and the bytes of weights read per second in decoding. `-d` fills the cache
//! with that many tokens first; `-b` decodes that many sequences in one batch; `-c` is `f16` or `q8_0`.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use wick_kernels::{BLOCK_TOKENS, Kernels, KvType};
use wick_models::{Decoder, Gguf, LoadOptions, Output, Segment, default_threads, load_decoder};

/// Tokens of a prompt per step.
const STEP_TOKENS: usize = 512;

struct Arguments {
    file: String,
    prompt_tokens: usize,
    decode_tokens: usize,
    threads: usize,
    runs: usize,
    depth: usize,
    sequences: usize,
    isa: Option<String>,
    kv_type: KvType,
}

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments {
        file: String::new(),
        prompt_tokens: 512,
        decode_tokens: 64,
        threads: default_threads(),
        runs: 3,
        depth: 0,
        sequences: 1,
        isa: None,
        kv_type: KvType::F16,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || -> Result<usize, Box<dyn Error>> {
            Ok(words
                .next()
                .ok_or("an option without its number")?
                .parse()?)
        };
        match word.as_str() {
            "-p" => arguments.prompt_tokens = number()?,
            "-n" => arguments.decode_tokens = number()?,
            "-t" => arguments.threads = number()?,
            "-r" => arguments.runs = number()?.max(1),
            "-d" => arguments.depth = number()?,
            "-b" => arguments.sequences = number()?.max(1),
            "-k" => arguments.isa = words.next(),
            "-c" => arguments.kv_type = words.next().ok_or("which cache?")?.parse()?,
            _ => arguments.file = word,
        }
    }
    if arguments.file.is_empty() {
        return Err("which file?".into());
    }
    Ok(arguments)
}

/// Sequences of one batch, all at the same position.
struct Bench<'a> {
    decoder: &'a mut dyn Decoder,
    blocks: Vec<Vec<u32>>,
    tokens: Vec<u32>,
    len: usize,
}

impl Bench<'_> {
    fn feed(&mut self, count: usize) -> Result<(), wick_models::Error> {
        let tokens = &self.tokens[self.len..self.len + count];
        let segments: Vec<Segment<'_>> = self
            .blocks
            .iter()
            .map(|blocks| Segment {
                tokens,
                start: self.len,
                blocks,
                output: Output::Last,
            })
            .collect();
        self.decoder.forward(&segments)?;
        self.len += count;
        Ok(())
    }

    fn prompt(&mut self, mut count: usize) -> Result<(), wick_models::Error> {
        let widest = (STEP_TOKENS / self.blocks.len()).max(1);
        while count > 0 {
            let step = count.min(widest);
            self.feed(step)?;
            count -= step;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments()?;
    let tables = Kernels::available();
    let kernels = match &arguments.isa {
        Some(name) => tables.into_iter().find(|table| table.isa.name() == name),
        None => Some(Kernels::best()),
    };
    let started = Instant::now();
    let gguf = Gguf::open(Path::new(&arguments.file))?;
    let options = LoadOptions {
        threads: arguments.threads,
        kernels: Some(kernels.ok_or("no such kernel table on this machine")?),
        kv_type: arguments.kv_type,
    };
    let mut decoder = load_decoder(&gguf, &options)?;
    let load_seconds = started.elapsed().as_secs_f64();
    let longest = arguments.depth + arguments.prompt_tokens.max(arguments.decode_tokens);
    let per_sequence = longest.div_ceil(BLOCK_TOKENS);
    decoder.reserve(
        per_sequence * arguments.sequences,
        STEP_TOKENS.max(arguments.sequences),
    )?;
    let info = decoder.info().clone();
    println!(
        "{} {} layers, {:.2} GB resident, loaded in {load_seconds:.2} s, {} on {} threads",
        info.architecture,
        info.layers,
        decoder.resident_bytes() as f64 / 1e9,
        decoder.isa(),
        arguments.threads,
    );
    let vocab = info.vocab_size as u32;
    let tokens = (0..longest as u32).map(|index| index.wrapping_mul(2_654_435_761) % vocab);
    let tokens: Vec<u32> = tokens.collect();
    let ids: Vec<u32> = (0..(per_sequence * arguments.sequences) as u32).collect();
    let blocks: Vec<Vec<u32>> = ids
        .chunks(per_sequence.max(1))
        .map(<[u32]>::to_vec)
        .collect();
    let mut bench = Bench {
        decoder: &mut *decoder,
        blocks,
        tokens,
        len: 0,
    };
    bench.prompt(arguments.depth)?;
    let (mut prompt, mut decode) = (f64::INFINITY, f64::INFINITY);
    for _ in 0..arguments.runs {
        bench.len = arguments.depth;
        let started = Instant::now();
        bench.prompt(arguments.prompt_tokens)?;
        prompt = prompt.min(started.elapsed().as_secs_f64());
        bench.len = arguments.depth;
        let started = Instant::now();
        for _ in 0..arguments.decode_tokens {
            bench.feed(1)?;
        }
        decode = decode.min(started.elapsed().as_secs_f64());
    }
    let rate = |tokens: usize, seconds: f64| (tokens * arguments.sequences) as f64 / seconds;
    let steps = arguments.decode_tokens as f64 / decode;
    println!(
        "prompt {:.1} tok/s, decode {:.1} tok/s ({:.2} ms a step, {:.1} GB/s of the file)",
        rate(arguments.prompt_tokens, prompt),
        rate(arguments.decode_tokens, decode),
        1e3 / steps,
        steps * gguf.file_bytes() as f64 / 1e9,
    );
    Ok(())
}

//! `bench`: rates of one model file on this machine, measured in this process.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use wick_models::KvType;

use super::{CliError, Session, human};
use crate::bench::{self, Plan, Report};
use crate::engine::kernels;
use crate::store::{ModelName, Store};

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A model of the store.
    #[arg(long, conflicts_with = "gguf", required_unless_present = "gguf")]
    model: Option<String>,
    /// A GGUF file.
    #[arg(long)]
    gguf: Option<PathBuf>,
    /// Prompt tokens.
    #[arg(short = 'p', long, default_value_t = 512)]
    prompt: usize,
    /// Tokens to decode.
    #[arg(short = 'n', long, default_value_t = 64)]
    decode: usize,
    /// Tokens in the cache beforehand.
    #[arg(short = 'd', long, default_value_t = 0)]
    depth: usize,
    /// Sequences decoded in one batch.
    #[arg(short = 'b', long, default_value_t = 1)]
    batch: usize,
    /// Threads (default: WICK_THREADS, then the physical cores).
    #[arg(short = 't', long)]
    threads: Option<usize>,
    /// How the cache stores keys and values: f16 or q8_0 (default: OLLAMA_KV_CACHE_TYPE, then f16).
    #[arg(long)]
    kv: Option<KvType>,
    /// Timed runs.
    #[arg(short = 'r', long, default_value_t = 3)]
    repeats: usize,
    /// Run candle's quantized_llama alternately on the same file.
    #[arg(long)]
    candle: bool,
    /// Perplexity of this text file instead of rates.
    #[arg(long, value_name = "TEXT", conflicts_with = "candle")]
    perplexity: Option<PathBuf>,
    /// What a grammar costs: decode rates with and without that of SQL over this file's CREATE TABLE statements.
    #[arg(long, value_name = "SCHEMA", conflicts_with_all = ["candle", "perplexity", "batch", "depth"])]
    grammar: Option<PathBuf>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

/// Measures and prints; no server takes part.
pub(crate) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    if let Some(path) = &arguments.grammar {
        return grammar(path, &arguments, session).await;
    }
    let plan = Plan {
        gguf: file(&arguments, session)?,
        prompt_tokens: arguments.prompt,
        decode_tokens: arguments.decode,
        depth_tokens: arguments.depth,
        batch: arguments.batch,
        threads: arguments.threads.or(session.config.threads).unwrap_or(0),
        repeats: arguments.repeats,
        kernels: kernels(session.config.isa.as_deref())
            .map_err(|e| CliError::Usage(e.to_string()))?,
        kv_type: arguments.kv.unwrap_or(session.config.kv_cache_type),
        candle: arguments.candle,
    };
    let failed = |error: wick_models::Error| CliError::Serve(error.into());
    if let Some(path) = &arguments.perplexity {
        let text = text_of(path)?;
        let foretold = bench::perplexity(&plan, &text).map_err(failed)?;
        if foretold.tokens == 0 {
            let problem = format!("{} is too short to score", path.display());
            return Err(CliError::Usage(problem));
        }
        if arguments.json {
            return print_json(session.out, &foretold);
        }
        let (value, tokens) = (foretold.perplexity, foretold.tokens);
        return Ok(writeln!(
            session.out,
            "perplexity {value:.4} over {tokens} tokens"
        )?);
    }
    let report = bench::run(&plan).map_err(failed)?;
    if arguments.json {
        return print_json(session.out, &report);
    }
    Ok(print(session.out, &report)?)
}

fn text_of(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path)
        .map_err(|error| CliError::Usage(format!("cannot read {}: {error}", path.display())))
}

/// Decode rates with and without the grammar of a schema.
async fn grammar(
    schema: &Path,
    arguments: &Arguments,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    let plan = bench::grammar::Plan {
        gguf: file(arguments, session)?,
        ddl: text_of(schema)?,
        decode_tokens: arguments.decode,
        repeats: arguments.repeats,
        threads: arguments.threads.or(session.config.threads),
        isa: session.config.isa.clone(),
        kv_type: arguments.kv.unwrap_or(session.config.kv_cache_type),
    };
    let report = bench::grammar::run(&plan)
        .await
        .map_err(|error| CliError::Serve(error.into()))?;
    if arguments.json {
        return print_json(session.out, &report);
    }
    let out = &mut *session.out;
    print_rate(
        out,
        "free",
        report.free_tokens_per_second,
        report.free_spread,
    )?;
    print_rate(
        out,
        "grammar",
        report.held_tokens_per_second,
        report.held_spread,
    )?;
    if let (Some(share), Some(cost)) = (report.grammar_share, report.grammar_microseconds_per_token)
    {
        let percent = share * 100.0;
        writeln!(
            out,
            "{:<10}{percent:>9.2} % of the decode time, {cost:.0} µs per token",
            "cost"
        )?;
    }
    Ok(())
}

fn print_json(out: &mut dyn Write, report: &impl serde::Serialize) -> Result<(), CliError> {
    let line = serde_json::to_string(report).map_err(io::Error::from)?;
    Ok(writeln!(out, "{line}")?)
}

fn file(arguments: &Arguments, session: &Session<'_>) -> Result<PathBuf, CliError> {
    let usage = |text: &dyn std::fmt::Display| CliError::Usage(text.to_string());
    let name = match (&arguments.gguf, &arguments.model) {
        (Some(path), _) => return Ok(path.clone()),
        (None, name) => name.as_deref().unwrap_or_default(),
    };
    let store = Store::open_with(&session.config.models_dir, true).map_err(|e| usage(&e))?;
    let name = ModelName::parse(name).map_err(|e| usage(&e))?;
    let name = store.resolve(&name).map_err(|e| usage(&e))?;
    let model = store.load(&name).map_err(|e| usage(&e))?;
    model
        .model_path
        .ok_or_else(|| usage(&format!("{} has no weights", model.name)))
}

fn print_rate(
    out: &mut dyn Write,
    name: &str,
    rate: Option<f64>,
    spread: Option<[f64; 2]>,
) -> io::Result<()> {
    let Some(rate) = rate else { return Ok(()) };
    let [low, high] = spread.unwrap_or([rate, rate]);
    writeln!(
        out,
        "{name:<10}{rate:>9.1} tokens/s  ({low:.1} to {high:.1})"
    )
}

fn print(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    print_rate(
        out,
        "prompt",
        report.prompt_tokens_per_second,
        report.prompt_spread,
    )?;
    print_rate(
        out,
        "decode",
        report.decode_tokens_per_second,
        report.decode_spread,
    )?;
    if let Some(peer) = &report.candle {
        for (name, own, peer) in [
            (
                "prompt",
                report.prompt_tokens_per_second,
                peer.prompt_tokens_per_second,
            ),
            (
                "decode",
                report.decode_tokens_per_second,
                peer.decode_tokens_per_second,
            ),
        ] {
            if let (Some(own), Some(peer)) = (own, peer) {
                writeln!(
                    out,
                    "{name:<10}{peer:>9.1} tokens/s  by candle: {:.2}x",
                    own / peer
                )?;
            }
        }
    }
    let gigabytes = |bytes: f64| bytes / 1e9;
    let memory = report.memory_bytes_per_second;
    if let Some(read) = report.read_bytes_per_second {
        let (read_rate, limit) = (gigabytes(read), gigabytes(memory));
        writeln!(
            out,
            "{:<10}{read_rate:>9.1} GB/s of {limit:.1} GB/s memory",
            "read"
        )?;
    }
    writeln!(out, "{:<10}{:>9.2} s", "load", report.load_seconds)?;
    writeln!(
        out,
        "{:<10}{:>9}",
        "resident",
        human::size(report.resident_bytes)
    )?;
    writeln!(out, "{:<10}{:>9}", "file", human::size(report.file_bytes))?;
    writeln!(
        out,
        "{:<10}{:>9} on {} threads, {} cache",
        "kernels", report.isa, report.threads, report.kv_type
    )
}

//! `eval`: how well a model does what wick's assistants ask of it, measured in this process.

use std::io::{self, Write};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{CliError, Session};
use crate::access::Secret;
use crate::api::App;
use crate::api::ask::Asked;
use crate::config::Config;
use crate::eval::{self, Miss, Plan, Task};
use crate::sql::database::Address;
use crate::store::{self, ModelName, Pull, Registry, RegistryOptions, Store, starter};

/// A task, as it is typed.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum What {
    /// Text to SQL, run on random rows.
    Sql,
    /// Questions over a shop, a bank and a clinic, run on a PostgreSQL (--database).
    Questions,
    /// Answers from passages that cite the right one.
    Answers,
    /// Filling gaps in code.
    Fim,
    /// Explaining SQL.
    Explain,
    /// Finding the coach's articles; the model is an embedding model.
    #[cfg(feature = "rag")]
    Rag,
    /// Times of searches over as many made-up passages as --cases says (default: 5000, 20000 and 100000).
    #[cfg(feature = "rag")]
    Search,
}

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The task.
    #[arg(value_enum)]
    task: What,
    /// A model of the store (default for `rag`: the configured embedding model).
    #[arg(long)]
    model: Option<String>,
    /// Cases to ask (default: all).
    #[arg(long)]
    cases: Option<usize>,
    /// Decides which cases are asked and which rows the databases hold.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Ask through the assistant: for SQL with linking, grammar, checks and repair, for gaps in code with versions that
    /// are parsed.
    #[arg(long)]
    assisted: bool,
    /// Address of a PostgreSQL (`questions`; default: WICK_EVAL_DATABASE). Only temporary tables are made there.
    #[arg(long, value_name = "URL")]
    database: Option<String>,
    /// One JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// Show the cases that went wrong, on stderr.
    #[arg(long)]
    misses: bool,
}

/// Measures and prints; no server takes part.
pub(crate) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| CliError::Serve(error);
    let own = tempfile::tempdir()?;
    let mut config = Config {
        // A server may be at work on the same store.
        no_prune: true,
        ..session.config.clone()
    };
    let task = match arguments.task {
        What::Sql => Task::Sql,
        What::Questions => Task::Questions,
        What::Answers => Task::Answers,
        What::Fim => Task::Fim,
        What::Explain => Task::Explain,
        #[cfg(feature = "rag")]
        What::Search => return searches(arguments.cases, own.path(), session.out).await,
        #[cfg(feature = "rag")]
        What::Rag => return retrieval(arguments, config, own.path(), session.out).await,
    };
    let database = match task {
        Task::Questions => Some(database(arguments.database, &config)?),
        _ => None,
    };
    let model = arguments
        .model
        .ok_or_else(|| CliError::Usage("say which model: --model NAME".to_owned()))?;
    if is_from_inside(&model, &config).map_err(|e| failed(e.into()))? {
        config.models_dir = own.path().to_owned();
        unpack(&config, &model)
            .await
            .map_err(|e| failed(e.into()))?;
    }
    let listen = config.listen;
    let app = App::new(config, listen).map_err(|e| failed(e.into()))?;
    let asked = Asked { app, model };
    let plan = Plan {
        task,
        cases: arguments.cases,
        seed: arguments.seed,
        is_assisted: arguments.assisted,
        database,
    };
    let report = eval::run(plan, &asked)
        .await
        .map_err(|e| failed(e.into()))?;
    if arguments.misses {
        report.misses.iter().for_each(tell);
    }
    let report = serde_json::to_value(&report).map_err(io::Error::from)?;
    Ok(print(session.out, &report, arguments.json)?)
}

/// One JSON object per number of passages.
#[cfg(feature = "rag")]
async fn searches(
    passages: Option<usize>,
    folder: &std::path::Path,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    use crate::rag::library::{Library, LibraryOptions, measure};
    /// As all-minilm's.
    const DIMENSION: usize = 384;
    let sizes = passages.map_or(vec![5_000, 20_000, 100_000], |passages| vec![passages]);
    for passages in sizes {
        let options = LibraryOptions::new(folder.join(passages.to_string()));
        let library = Library::open(options, &[]).await;
        let library = library.map_err(|e| CliError::Serve(e.into()))?;
        let times = measure(&library, passages, DIMENSION).await;
        let times = times.map_err(|e| CliError::Serve(e.into()))?;
        let times = serde_json::to_string(&times).map_err(io::Error::from)?;
        writeln!(out, "{times}")?;
    }
    Ok(())
}

/// Retrieval over the coach's articles, in a library of its own.
#[cfg(feature = "rag")]
async fn retrieval(
    arguments: Arguments,
    mut config: Config,
    folder: &std::path::Path,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    if let Some(model) = arguments.model {
        config.embed_model = model;
    }
    let listen = config.listen;
    let app = App::new(config, listen).map_err(|e| CliError::Serve(e.into()))?;
    let report = crate::api::rag::measure::recall(&app, folder).await;
    let report = report.map_err(|e| CliError::Serve(e.into()))?;
    if arguments.misses {
        for (name, mode) in &report.modes {
            mode.misses
                .iter()
                .for_each(|miss| eprintln!("{name}: {miss}"));
        }
    }
    if arguments.json {
        let report = serde_json::to_string(&report).map_err(io::Error::from)?;
        return Ok(writeln!(out, "{report}")?);
    }
    writeln!(
        out,
        "{} ({} numbers), {} passages, indexed in {:.0} ms",
        report.embedder, report.dimension, report.passages, report.indexing_ms
    )?;
    for (name, mode) in &report.modes {
        let (all, held_out) = (mode.scores.all, mode.scores.held_out);
        writeln!(
            out,
            "{name:<8} recall@5 {:.3} (held out {:.3}), reciprocal rank {:.3} (held out {:.3}), \
             median {:.1} ms, p95 {:.1} ms",
            all.recall_at_5,
            held_out.recall_at_5,
            all.reciprocal_rank,
            held_out.reciprocal_rank,
            mode.median_ms,
            mode.p95_ms
        )?;
    }
    Ok(())
}

/// Where the statements of questions are run.
fn database(flag: Option<String>, config: &Config) -> Result<Address, CliError> {
    let configured = config.eval_database.as_ref().map(Secret::reveal);
    let Some(text) = flag.as_deref().or(configured) else {
        let problem = "the questions' statements are PostgreSQL's: give an address to run them on with --database or \
                       WICK_EVAL_DATABASE (postgres://…); only temporary tables are made there";
        return Err(CliError::Usage(problem.to_owned()));
    };
    match Address::parse(text, None) {
        Ok(address @ Address::Postgres(_)) => Ok(address),
        _ => Err(CliError::Usage(
            "the address of the database must be 'postgres://…'".to_owned(),
        )),
    }
}

/// Whether the name means the model inside wick and the store has none of that name.
fn is_from_inside(model: &str, config: &Config) -> Result<bool, store::StoreError> {
    let name = ModelName::local(model)?;
    let store = Store::open_with(&config.models_dir, true)?;
    Ok(starter::is_starter(&name) && store.load(&store.resolve(&name)?).is_err())
}

async fn unpack(config: &Config, model: &str) -> Result<(), store::StoreError> {
    let registry = Registry::new(RegistryOptions::new(env!("CARGO_PKG_VERSION"), None))?;
    let pull = Pull {
        name: ModelName::local(model)?,
        insecure: false,
    };
    let (events, mut lines) = mpsc::channel(1);
    let store = Store::open_with(&config.models_dir, true)?;
    let drain = async { while lines.recv().await.is_some() {} };
    tokio::join!(store::pull(&store, &registry, pull, events), drain).0
}

fn tell(miss: &Miss) {
    eprintln!(
        "asked:\n{}\nwanted: {}\ngot:    {}\n",
        miss.asked, miss.wanted, miss.got
    );
}

fn print(out: &mut dyn Write, report: &Value, json: bool) -> io::Result<()> {
    if json {
        return writeln!(out, "{report}");
    }
    for (name, value) in report.as_object().into_iter().flatten() {
        writeln!(out, "{:<22} {value}", name.replace('_', " "))?;
    }
    Ok(())
}

//! The command line. Every command but `serve`, `bench`, `eval`, `keys` and the copies of `rag` is a client of the server's own HTTP interface, so that
//! `wick` speaks to any server that `OLLAMA_HOST` names.

mod bench;
mod client;
mod copy;
mod create;
mod error;
mod eval;
mod human;
mod keys;
mod list;
mod progress;
mod ps;
mod pull;
mod push;
#[cfg(feature = "rag")]
mod rag;
mod remove;
mod run;
mod serve;
mod show;
mod sql;
mod stop;
mod table;
#[cfg(test)]
mod test_server;
mod version;
mod wire;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::{self, Config, Flags};
use crate::rag::read;
use client::Client;
pub use error::CliError;

/// Runs quantised language models and serves them over HTTP.
#[derive(Debug, Parser)]
#[command(name = "wick", disable_version_flag = true)]
struct Arguments {
    /// Show version information.
    #[arg(short = 'v', long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server.
    #[command(visible_alias = "start")]
    Serve(serve::Arguments),
    /// Create a model from a Modelfile.
    Create(create::Arguments),
    /// Show what a model is.
    Show(show::Arguments),
    /// Talk to a model.
    Run(run::Arguments),
    /// Unload a running model.
    Stop(stop::Arguments),
    /// Fetch a model from a registry.
    Pull(pull::Arguments),
    /// Send a model to a registry.
    Push(push::Arguments),
    /// List models.
    #[command(visible_alias = "ls")]
    List(list::Arguments),
    /// List running models.
    Ps(ps::Arguments),
    /// Copy a model.
    Cp(copy::Arguments),
    /// Remove models.
    Rm(remove::Arguments),
    /// Manage API keys.
    Keys(keys::Arguments),
    /// Measure a model file on this machine.
    Bench(bench::Arguments),
    /// Score a model's SQL, answers and code.
    Eval(eval::Arguments),
    /// Write SQL for a question, or help with SQL.
    Sql(sql::Arguments),
    /// Read a file from stdin within bounds: what the server starts for files that may mean harm.
    #[command(name = read::COMMAND, hide = true)]
    ReadFile,
    /// Manage and search documents.
    #[cfg(feature = "rag")]
    Rag(rag::Arguments),
}

/// What commands work with.
struct Session<'a> {
    config: &'a Config,
    client: Client,
    /// Where data goes; progress goes to stderr.
    out: &'a mut dyn Write,
}

/// Runs the command that the process was started with. Failures are one line on stderr and exit code 1.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::ReadFile) = arguments.command {
        // Needs no settings, and shall have no threads but its own.
        return match read::serve(io::stdin(), io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        };
    }
    let result = tokio::runtime::Runtime::new()
        .map_err(CliError::Terminal)
        .and_then(|runtime| {
            let result = runtime.block_on(execute(arguments));
            // A load or a conversion still under way must not hold up the end of the process.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has seen enough.
        Err(CliError::Terminal(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(arguments: Arguments) -> Result<(), CliError> {
    let mut flags = Flags::default();
    if let Some(Command::Serve(serve)) = &arguments.command {
        flags = Flags {
            serving: true,
            listen: serve.listen.clone(),
        };
    }
    let config = load_config(flags)?;
    let command = match arguments.command {
        Some(Command::Serve(_)) => return serve::run(config).await,
        Some(Command::Keys(arguments)) => return keys::run(arguments, &config, &mut io::stdout()),
        #[cfg(feature = "rag")]
        Some(Command::Rag(arguments)) if arguments.is_local() => {
            return rag::run_here(arguments, &config);
        }
        None if !arguments.version => return Ok(Arguments::command().print_help()?),
        command => command,
    };
    let measures = matches!(command, Some(Command::Bench(_) | Command::Eval(_)));
    let client = Client::new(&config.host)?.with_key(config.api_key.clone());
    let mut session = Session {
        config: &config,
        client,
        out: &mut io::stdout(),
    };
    let Some(command) = command else {
        return version::run(&mut session).await;
    };
    if !measures {
        session.client.probe().await?;
    }
    dispatch(command, &mut session).await
}

async fn dispatch(command: Command, session: &mut Session<'_>) -> Result<(), CliError> {
    match command {
        Command::Serve(_) | Command::Keys(_) | Command::ReadFile => Ok(()),
        Command::Create(arguments) => create::run(arguments, session).await,
        Command::Show(arguments) => show::run(arguments, session).await,
        Command::Run(arguments) => run::run(arguments, session).await,
        Command::Stop(arguments) => stop::run(arguments, session).await,
        Command::Pull(arguments) => pull::run(arguments, session).await,
        Command::Push(arguments) => push::run(arguments, session).await,
        Command::List(arguments) => list::run(arguments, session).await,
        Command::Ps(arguments) => ps::run(arguments, session).await,
        Command::Cp(arguments) => copy::run(arguments, session).await,
        Command::Rm(arguments) => remove::run(arguments, session).await,
        Command::Bench(arguments) => bench::run(arguments, session).await,
        Command::Eval(arguments) => eval::run(arguments, session).await,
        Command::Sql(arguments) => sql::run(arguments, session).await,
        #[cfg(feature = "rag")]
        Command::Rag(arguments) => rag::run(arguments, session).await,
    }
}

/// Reads the settings; what they say about logging holds from here on.
fn load_config(flags: Flags) -> Result<Config, CliError> {
    let serving = flags.serving;
    // Warnings about settings come before the settings that say what to log.
    let early = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_max_level(tracing::Level::WARN)
        .finish();
    let config = tracing::subscriber::with_default(early, || {
        config::load(flags, |name| std::env::var(name).ok())
    })?;
    let own = if serving {
        config.log_level.as_str()
    } else {
        "warn"
    };
    // A library that quotes documents is not to be heard.
    let others = if serving { "info" } else { "warn" };
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_env_filter(EnvFilter::new(format!(
            "{others},lance=warn,datafusion=warn,lopdf=off,wick={own},wick_models={own},wick_kernels={own}"
        )))
        .init();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn aliases_and_flags_are_those_of_the_other_program() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        assert!(matches!(
            parse("wick start").unwrap().command,
            Some(Command::Serve(_))
        ));
        assert!(matches!(
            parse("wick ls llama").unwrap().command,
            Some(Command::List(_))
        ));
        assert!(parse("wick -v").unwrap().version && parse("wick --version").unwrap().version);
        assert!(parse("wick").unwrap().command.is_none());
        assert!(parse("wick rm").is_err(), "a model to remove is required");
    }
}

//! `run`: one answer, one vector, or a conversation.

mod answer;
mod command;
mod conversation;
mod editor;
mod input;
mod repl;
mod wrap;

use std::io::{self, IsTerminal, Read};

use serde_json::{Map, Value, json};

use super::wire::{Embedded, Model};
use super::{CliError, Session, progress, pull};
use crate::config::duration::parse_duration;
use crate::config::parse_bool;
use answer::{Display, Printer, Reply};
use conversation::Conversation;
use wrap::Wrap;

const THINK_LEVELS: [&str; 4] = ["high", "medium", "low", "max"];

/// Talks to a model.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// The model's name.
    model: String,
    /// A prompt; without one a conversation begins.
    prompt: Vec<String>,
    /// How long the model stays loaded afterwards, such as 5m.
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    keepalive: Option<String>,
    /// Show counts and times after each answer.
    #[arg(long)]
    verbose: bool,
    /// Speak to the registry without TLS.
    #[arg(long)]
    insecure: bool,
    /// Leave long lines to the terminal.
    #[arg(long)]
    nowordwrap: bool,
    /// Shape of the answer: json, or a JSON schema.
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Let the model think first: true, false, high, medium, low or max.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    think: Option<String>,
    /// Do not show what the model thinks.
    #[arg(long)]
    hidethinking: bool,
    /// Cut a text that is too long for an embedding model.
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    truncate: Option<bool>,
    /// Length of vectors of an embedding model.
    #[arg(long, value_name = "N")]
    dimensions: Option<u32>,
}

/// What stands around the command.
struct Surroundings {
    /// What was piped in, if standard input is no terminal.
    piped: Option<String>,
    /// Whether a person reads the output.
    terminal: bool,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let mut piped = None;
    if !io::stdin().is_terminal() {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes)?;
        piped = Some(String::from_utf8_lossy(&bytes).into_owned());
    }
    let around = Surroundings {
        piped,
        terminal: io::stdout().is_terminal(),
    };
    run_in(args, around, session).await
}

async fn run_in(
    args: Arguments,
    around: Surroundings,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    let mut conversation = Conversation::new(args.model.clone());
    conversation.format = args.format.as_deref().map(parse_format).transpose()?;
    conversation.think = args.think.as_deref().map(parse_think).transpose()?;
    conversation.keep_alive = args
        .keepalive
        .as_deref()
        .map(parse_keep_alive)
        .transpose()?;
    let model = show_or_pull(&args, session).await?;
    let interactive = around.terminal && around.piped.is_none() && args.prompt.is_empty();
    let piped = around.piped.filter(|text| !text.is_empty());
    let prompt = piped
        .into_iter()
        .chain(args.prompt.iter().cloned())
        .collect::<Vec<_>>();
    let prompt = prompt.join(" ");
    if model
        .capabilities
        .iter()
        .any(|capability| capability == "embedding")
    {
        return embed(&args, &prompt, &conversation, session).await;
    }
    let display = Display {
        wrap: around.terminal && !args.nowordwrap,
        hide_thinking: args.hidethinking,
        verbose: args.verbose,
    };
    conversation.parent_model = model.details.parent_model.clone();
    conversation.system = model.system.clone();
    if interactive {
        conversation.stored = model.messages;
        return repl::run(conversation, display, session).await;
    }
    generate(&prompt, &conversation, &display, session).await
}

/// What the model is; fetches it if it is not there.
async fn show_or_pull(args: &Arguments, session: &mut Session<'_>) -> Result<Model, CliError> {
    let body = json!({"model": args.model});
    match session.client.post("/api/show", &body).await {
        Err(CliError::Server { status: 404, .. }) => {
            let pull = pull::Arguments {
                model: args.model.clone(),
                insecure: args.insecure,
            };
            pull::run(pull, session).await?;
            session.client.post("/api/show", &body).await
        }
        answer => answer,
    }
}

/// One answer to one prompt.
async fn generate(
    prompt: &str,
    conversation: &Conversation,
    display: &Display,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    let waiting = progress::spinner("");
    let lines = session
        .client
        .stream("/api/generate", &conversation.generate_body(prompt))
        .await;
    let mut printer = Printer::new(session.out, display, waiting);
    let mut reply = Reply::default();
    reply.read(lines?, &mut printer).await?;
    if !prompt.is_empty() {
        write!(session.out, "\n\n")?;
    }
    if display.verbose && reply.done {
        eprint!("{}", answer::summary(&reply.metrics));
    }
    Ok(())
}

/// One vector, as a JSON array.
async fn embed(
    args: &Arguments,
    prompt: &str,
    conversation: &Conversation,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    if prompt.is_empty() {
        return Err(CliError::Usage(format!(
            "embedding models require input text. Usage: wick run {} \"your text here\"",
            args.model
        )));
    }
    let mut body = Map::new();
    body.insert("model".into(), json!(args.model));
    body.insert("input".into(), json!(prompt));
    if let Some(keep_alive) = &conversation.keep_alive {
        body.insert("keep_alive".into(), json!(keep_alive));
    }
    if let Some(truncate) = args.truncate {
        body.insert("truncate".into(), json!(truncate));
    }
    if let Some(dimensions) = args.dimensions {
        body.insert("dimensions".into(), json!(dimensions));
    }
    let answer: Embedded = session
        .client
        .post("/api/embed", &Value::Object(body))
        .await?;
    let vector = answer.embeddings.first();
    let vector = vector.ok_or_else(|| CliError::Answer("no embeddings returned".to_owned()))?;
    // Written as they came: a JSON value would widen each number to 64 bits.
    let line = serde_json::to_string(vector).map_err(|error| CliError::Terminal(error.into()))?;
    writeln!(session.out, "{line}")?;
    Ok(())
}

/// `json`, or a schema.
fn parse_format(text: &str) -> Result<Value, CliError> {
    if text == "json" {
        return Ok(json!("json"));
    }
    match serde_json::from_str(text) {
        Ok(schema @ Value::Object(_)) => Ok(schema),
        _ => Err(CliError::Usage(format!(
            "invalid format: {text:?}; expected \"json\" or a valid JSON Schema object"
        ))),
    }
}

fn parse_think(text: &str) -> Result<Value, CliError> {
    match (text, parse_bool(text)) {
        ("", _) => Ok(json!(true)),
        ("true" | "false", Some(think)) => Ok(json!(think)),
        (level, _) if THINK_LEVELS.contains(&level) => Ok(json!(level)),
        _ => Err(CliError::Usage(format!(
            "invalid value for --think: {text:?} (must be true, false, high, medium, low, or max)"
        ))),
    }
}

/// Checked here, so that a typing error does not load a model first.
fn parse_keep_alive(text: &str) -> Result<String, CliError> {
    parse_duration(text).map_err(|error| CliError::Usage(error.to_string()))?;
    Ok(text.to_owned())
}

/// Columns of the terminal on stdout.
fn terminal_width() -> Option<usize> {
    let (_, columns) = console::Term::stdout().size_checked()?;
    Some(columns.into())
}

#[cfg(test)]
mod tests;

//! A conversation: read a line, answer it or obey it, until the end.

use std::io;

use serde_json::{Value, json};

use super::super::wire::{Message, Model};
use super::super::{CliError, Session, list, progress, show};
use super::THINK_LEVELS;
use super::answer::{Display, Printer, Reply, summary, write_text};
use super::command::{Command, Part, Setting};
use super::conversation::Conversation;
use super::editor::{Keyboard, Line, Lines};
use super::input::{Input, Step};
use crate::store::modelfile::{Parameter, parse_parameter};

const PROMPT: &str = ">>> ";
const MORE_PROMPT: &str = "... ";

/// Loads the model and talks until the user leaves.
pub(super) async fn run(
    conversation: Conversation,
    display: Display,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    let mut keyboard = Keyboard::new(session.config)?;
    talk(conversation, display, &mut keyboard, session).await
}

/// The conversation over any source of lines.
pub(super) async fn talk(
    conversation: Conversation,
    display: Display,
    lines: &mut dyn Lines,
    session: &mut Session<'_>,
) -> Result<(), CliError> {
    let mut repl = Repl {
        conversation,
        display,
        lines,
        session,
    };
    repl.load().await?;
    repl.show_stored()?;
    let mut input = Input::default();
    loop {
        let prompt = if input.is_open() { MORE_PROMPT } else { PROMPT };
        let step = match repl.lines.read(prompt)? {
            Line::End => return Ok(()),
            Line::Interrupted { empty } => {
                if empty && !input.is_open() {
                    writeln!(repl.session.out, "Use Ctrl + d or /bye to exit.")?;
                }
                input.reset();
                continue;
            }
            Line::Text(line) => input.line(&line),
        };
        match step {
            Step::More | Step::Nothing => {}
            Step::Command(Command::Bye) => return Ok(()),
            Step::Command(command) => {
                let result = tokio::select! {
                    result = repl.obey(command) => result,
                    _ = tokio::signal::ctrl_c() => Ok(()),
                };
                result.or_else(report)?;
            }
            Step::Prompt(text) => repl.answer(text).await.or_else(report)?,
        }
    }
}

/// A failed request is shown and the conversation goes on; a broken terminal ends it.
fn report(error: CliError) -> Result<(), CliError> {
    match error {
        CliError::Terminal(_) | CliError::Prompt(_) => Err(error),
        error => {
            eprintln!("Error: {error}");
            Ok(())
        }
    }
}

struct Repl<'a, 'b> {
    conversation: Conversation,
    display: Display,
    lines: &'a mut dyn Lines,
    session: &'a mut Session<'b>,
}

impl Repl<'_, '_> {
    async fn load(&mut self) -> Result<(), CliError> {
        let waiting = progress::spinner("");
        let body = self.conversation.load_body();
        let loaded = self
            .session
            .client
            .post::<Value>("/api/generate", &body)
            .await;
        waiting.finish_and_clear();
        loaded.map(drop)
    }

    fn show_stored(&mut self) -> io::Result<()> {
        for message in &self.conversation.stored {
            match message.role.as_str() {
                "user" => writeln!(self.session.out, "{PROMPT}{}", message.content)?,
                "assistant" => {
                    write_text(self.session.out, &self.display, &message.content)?;
                    write!(self.session.out, "\n\n")?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends a message and shows the answer. Ctrl+C ends the answer; what has come of it counts.
    async fn answer(&mut self, text: String) -> Result<(), CliError> {
        self.conversation.messages.push(Message::new("user", text));
        let mut reply = Reply::default();
        let waiting = progress::spinner("");
        let mut printer = Printer::new(self.session.out, &self.display, waiting.clone());
        let body = self.conversation.chat_body();
        let read = async {
            let lines = self.session.client.stream("/api/chat", &body).await?;
            reply.read(lines, &mut printer).await
        };
        let result = tokio::select! {
            result = read => result,
            _ = tokio::signal::ctrl_c() => Ok(()),
        };
        waiting.finish_and_clear();
        if let Err(error) = result {
            // A message that was not answered would be repeated with the next one.
            self.conversation.messages.pop();
            return Err(error);
        }
        write!(self.session.out, "\n\n")?;
        if self.display.verbose && reply.done {
            eprint!("{}", summary(&reply.metrics));
        }
        if !reply.message.content.is_empty() {
            self.conversation.messages.push(reply.message);
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<(), CliError> {
        match command {
            Command::Bye => {}
            Command::List(prefix) => list::run(list::Arguments { prefix }, self.session).await?,
            Command::Load(model) => self.change_model(model).await?,
            Command::Save(name) => self.save(&name).await?,
            Command::Clear => {
                self.conversation.clear();
                writeln!(self.session.out, "Cleared session context")?;
            }
            Command::Set(setting) => {
                let said = self.set(setting);
                writeln!(self.session.out, "{said}")?;
            }
            Command::Show(part) => self.show(part).await?,
            Command::Help(topic) => writeln!(self.session.out, "{}", topic.text())?,
            Command::Unknown(text) => {
                writeln!(
                    self.session.out,
                    "Unknown command '{text}'. Type /? for help"
                )?;
            }
        }
        Ok(())
    }

    async fn change_model(&mut self, model: String) -> Result<(), CliError> {
        writeln!(self.session.out, "Loading model '{model}'")?;
        let body = json!({"model": model});
        let info = match self.session.client.post::<Model>("/api/show", &body).await {
            Err(error) if error.is_not_found() => {
                writeln!(self.session.out, "Couldn't find model '{model}'")?;
                return Ok(());
            }
            info => info?,
        };
        let before = std::mem::take(&mut self.conversation);
        self.conversation = Conversation {
            model,
            parent_model: info.details.parent_model,
            system: info.system,
            stored: info.messages,
            options: before.options.clone(),
            format: before.format.clone(),
            keep_alive: before.keep_alive.clone(),
            think: before.think.clone(),
            ..Conversation::default()
        };
        if let Err(error) = self.load().await {
            self.conversation = before;
            return Err(error);
        }
        Ok(self.show_stored()?)
    }

    async fn save(&mut self, name: &str) -> Result<(), CliError> {
        let body = self.conversation.save_body(name);
        let saved = match self.session.client.stream("/api/create", &body).await {
            Ok(lines) => progress::drain(lines).await,
            Err(error) => Err(error),
        };
        match saved {
            Err(error) if error.to_string().contains("invalid model name") => {
                writeln!(
                    self.session.out,
                    "error: The model name '{name}' is invalid"
                )?;
            }
            saved => {
                saved?;
                writeln!(self.session.out, "Created new model '{name}'")?;
            }
        }
        Ok(())
    }

    /// Changes a setting, and says so.
    fn set(&mut self, setting: Setting) -> String {
        let conversation = &mut self.conversation;
        match setting {
            Setting::Parameter { name, values } => match option_value(&name, &values) {
                Ok(value) => {
                    conversation.options.insert(name.clone(), value);
                    format!("Set parameter '{name}' to '{}'", values.join(", "))
                }
                Err(message) => format!("Couldn't set parameter: {message:?}"),
            },
            Setting::System(text) => {
                conversation.set_system(&text);
                "Set system message.".to_owned()
            }
            Setting::History(keep) => {
                self.lines.keep_history(keep);
                let name = if keep { "history" } else { "nohistory" };
                format!("Set '{name}' mode.")
            }
            Setting::Wrap(wrap) => {
                self.display.wrap = wrap;
                let name = if wrap { "wordwrap" } else { "nowordwrap" };
                format!("Set '{name}' mode.")
            }
            Setting::JsonFormat => {
                conversation.format = Some(json!("json"));
                "Set format to 'json' mode.".to_owned()
            }
            Setting::NoFormat => {
                conversation.format = None;
                "Disabled format.".to_owned()
            }
            Setting::BadFormat => {
                "Invalid or missing format. For 'json' mode use '/set format json'".to_owned()
            }
            Setting::Verbose(verbose) => {
                self.display.verbose = verbose;
                let name = if verbose { "verbose" } else { "quiet" };
                format!("Set '{name}' mode.")
            }
            Setting::Think(None) => {
                conversation.think = Some(json!(true));
                "Set 'think' mode.".to_owned()
            }
            Setting::Think(Some(level)) if THINK_LEVELS.contains(&level.as_str()) => {
                conversation.think = Some(json!(level));
                format!("Set 'think' mode to '{level}'.")
            }
            Setting::Think(Some(level)) => format!(
                "Couldn't set think: {level:?} (must be \"high\", \"medium\", \"low\" or \"max\")"
            ),
            Setting::NoThink => {
                conversation.think = Some(json!(false));
                "Set 'nothink' mode.".to_owned()
            }
        }
    }

    async fn show(&mut self, part: Part) -> Result<(), CliError> {
        let body = json!({"model": self.conversation.model});
        let model: Model = self.session.client.post("/api/show", &body).await?;
        let out = &mut *self.session.out;
        let mut text_or = |text: &str, missing: &str| match text.is_empty() {
            true => writeln!(out, "{missing} was specified for this model."),
            false => writeln!(out, "{text}"),
        };
        match part {
            Part::License => text_or(&model.license, "No license")?,
            Part::Modelfile => text_or(&model.modelfile, "No Modelfile")?,
            Part::System => text_or(&self.conversation.system, "No system message")?,
            Part::Template => text_or(&model.template, "No prompt template")?,
            Part::Info => show::write_sections(out, &model, false)?,
            Part::Parameters => {
                writeln!(out, "Model defined parameters:")?;
                let text = match model.parameters.as_str() {
                    "" => "No additional parameters were specified for this model.",
                    text => text,
                };
                for line in text.lines() {
                    writeln!(out, "  {line}")?;
                }
                if !self.conversation.options.is_empty() {
                    writeln!(out, "\nUser defined parameters:")?;
                }
                for (name, value) in &self.conversation.options {
                    writeln!(out, "  {name:<30} {value}")?;
                }
                writeln!(out)?;
            }
        }
        Ok(())
    }
}

/// The typed value of an option; lists take all values, other options the first.
fn option_value(name: &str, values: &[String]) -> Result<Value, String> {
    let mut list = Vec::new();
    for value in values {
        match parse_parameter(name, value).map_err(|error| error.to_string())? {
            Parameter::Single(value) => return Ok(value),
            Parameter::Listed(entry) => list.push(Value::String(entry)),
            Parameter::Deprecated => return Err(format!("parameter {name} is deprecated")),
        }
    }
    Ok(Value::Array(list))
}

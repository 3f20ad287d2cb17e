//! Lines from the keyboard, with a history and an external editor.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustyline::config::Configurer;
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{
    Cmd, ConditionalEventHandler, Editor, Event, EventContext, EventHandler, KeyEvent, RepeatCount,
};

use super::super::CliError;
use crate::config::Config;

const HISTORY_LINES: usize = 100;
const DEFAULT_EDITOR: &str = "vi";

/// What came from the keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, or several that were pasted.
    Text(String),
    /// Ctrl+C.
    Interrupted {
        /// Nothing had been typed.
        empty: bool,
    },
    /// Ctrl+D.
    End,
}

/// Where lines come from: the keyboard, or a list in tests.
pub(super) trait Lines {
    /// Waits for a line.
    fn read(&mut self, prompt: &str) -> Result<Line, CliError>;
    /// Keeps a history, or stops keeping it.
    fn keep_history(&mut self, keep: bool);
}

/// The keyboard.
pub(super) struct Keyboard {
    editor: Editor<(), FileHistory>,
    history: Option<PathBuf>,
    keep: bool,
    external: String,
    /// Set when the line is wanted in the external editor.
    edit: Arc<AtomicBool>,
    /// Whether the line was empty at the last Ctrl+C.
    empty: Arc<AtomicBool>,
}

impl Keyboard {
    pub(super) fn new(config: &Config) -> Result<Keyboard, CliError> {
        let mut editor = Editor::<(), FileHistory>::new()?;
        editor.set_max_history_size(HISTORY_LINES)?;
        let edit = Arc::new(AtomicBool::new(false));
        let handler = EditKey(Arc::clone(&edit));
        let handler = EventHandler::Conditional(Box::new(handler));
        editor.bind_sequence(KeyEvent::ctrl('G'), handler);
        let empty = Arc::new(AtomicBool::new(true));
        let handler = EventHandler::Conditional(Box::new(InterruptKey(Arc::clone(&empty))));
        editor.bind_sequence(KeyEvent::ctrl('C'), handler);
        let history = config.state_dir.as_ref().map(|dir| dir.join("history"));
        if let Some(path) = &history {
            // No history yet, or one that cannot be read: begin a new one.
            let _ = editor.load_history(path);
        }
        let external = config
            .editor
            .clone()
            .unwrap_or_else(|| DEFAULT_EDITOR.to_owned());
        Ok(Keyboard {
            editor,
            history,
            keep: !config.no_history,
            external,
            edit,
            empty,
        })
    }

    fn remember(&mut self, line: &str) {
        if !self.keep || line.trim().is_empty() {
            return;
        }
        let added = self.editor.add_history_entry(line).unwrap_or(false);
        if let Some(path) = self.history.as_ref().filter(|_| added) {
            // A history that cannot be written is no reason to stop talking.
            let _ = path.parent().map_or(Ok(()), fs::create_dir_all);
            let _ = self.editor.save_history(path);
        }
    }
}

impl Lines for Keyboard {
    fn read(&mut self, prompt: &str) -> Result<Line, CliError> {
        let mut initial = String::new();
        loop {
            match self.editor.readline_with_initial(prompt, (&initial, "")) {
                Ok(line) if self.edit.swap(false, Ordering::Relaxed) => {
                    initial = edit_text(&self.external, &line).unwrap_or_else(|error| {
                        eprintln!("Error: {error}");
                        line
                    });
                }
                Ok(line) => {
                    self.remember(&line);
                    return Ok(Line::Text(line));
                }
                Err(ReadlineError::Interrupted) => {
                    return Ok(Line::Interrupted {
                        empty: self.empty.load(Ordering::Relaxed),
                    });
                }
                Err(ReadlineError::Eof) => return Ok(Line::End),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn keep_history(&mut self, keep: bool) {
        self.keep = keep;
    }
}

/// Ends the line, and leaves word that it goes on in the editor.
struct EditKey(Arc<AtomicBool>);

impl ConditionalEventHandler for EditKey {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, _: &EventContext) -> Option<Cmd> {
        self.0.store(true, Ordering::Relaxed);
        Some(Cmd::AcceptLine)
    }
}

/// Interrupts, and leaves word whether anything had been typed.
struct InterruptKey(Arc<AtomicBool>);

impl ConditionalEventHandler for InterruptKey {
    fn handle(&self, _: &Event, _: RepeatCount, _: bool, context: &EventContext) -> Option<Cmd> {
        self.0.store(context.line().is_empty(), Ordering::Relaxed);
        Some(Cmd::Interrupt)
    }
}

/// The text after someone has edited it in `command`, which may have arguments.
fn edit_text(command: &str, text: &str) -> Result<String, CliError> {
    let mut file = tempfile::Builder::new()
        .prefix("wick-")
        .suffix(".md")
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    let mut words = command.split_whitespace();
    let program = words.next().unwrap_or(DEFAULT_EDITOR);
    let status = Command::new(program).args(words).arg(file.path()).status();
    let failed = |source| CliError::File {
        path: program.to_owned(),
        source,
    };
    let status = status.map_err(failed)?;
    if !status.success() {
        return Err(failed(io::Error::other(status.to_string())));
    }
    // Editors may replace the file, so it is read by its name.
    Ok(fs::read_to_string(file.path())?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_changes_the_text() {
        assert_eq!(edit_text("sed -i s/a/b/", "a line").unwrap(), "b line");
        let error = edit_text("/nowhere/editor", "x").unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/editor: "), "{error}");
        assert!(edit_text("false", "x").is_err());
    }
}

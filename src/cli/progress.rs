//! Progress of long work on stderr: bars and spinners on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::CliError;
use super::client::Lines;
use super::wire::Step;

const TICK: Duration = Duration::from_millis(60);
const BAR: &str = "{msg}: {percent:>3}% ▕{wide_bar}▏ {decimal_bytes:>9}/{decimal_total_bytes:<9} \
                   {decimal_bytes_per_sec:>11} {eta:>4}";

/// Shows the steps of a pull, push or create until the stream ends.
pub(crate) async fn follow(lines: Lines) -> Result<(), CliError> {
    Progress::new().follow(lines).await
}

/// Waits for the end of a stream of steps without showing them.
pub(crate) async fn drain(mut lines: Lines) -> Result<(), CliError> {
    while lines.next::<Step>().await?.is_some() {}
    Ok(())
}

/// What stands on the screen for one piece of work.
pub(crate) struct Progress {
    bars: MultiProgress,
    /// Bars of blobs, by digest.
    blobs: HashMap<String, ProgressBar>,
    /// The status that runs now, with its text.
    status: Option<(String, ProgressBar)>,
    terminal: bool,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress {
            bars: MultiProgress::new(),
            blobs: HashMap::new(),
            status: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Shows the steps that arrive; a failure leaves the last status on the screen.
    pub(crate) async fn follow(mut self, mut lines: Lines) -> Result<(), CliError> {
        let result = loop {
            match lines.next::<Step>().await {
                Ok(Some(step)) => self.step(&step),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.finish();
        result
    }

    /// Shows one step.
    pub(crate) fn step(&mut self, step: &Step) {
        match step.digest.is_empty() || step.total == 0 {
            true => self.status(&step.status),
            false => self.blob(step),
        }
    }

    /// A status replaces the one before, which stays as a line.
    pub(crate) fn status(&mut self, text: &str) {
        if self
            .status
            .as_ref()
            .is_some_and(|(running, _)| running == text)
        {
            return;
        }
        self.finish_status();
        if !self.terminal {
            eprintln!("{text}");
        }
        let spinner = self.bars.add(spinner(text));
        self.status = Some((text.to_owned(), spinner));
    }

    fn blob(&mut self, step: &Step) {
        self.finish_status();
        if !self.blobs.contains_key(&step.digest) {
            if !self.terminal {
                eprintln!("{}", step.status);
            }
            let bar = self
                .bars
                .add(ProgressBar::new(step.total).with_style(style(BAR)));
            bar.set_message(step.status.clone());
            self.blobs.insert(step.digest.clone(), bar);
        }
        let bar = &self.blobs[&step.digest];
        bar.set_length(step.total);
        bar.set_position(step.completed);
        if step.completed >= step.total && !bar.is_finished() {
            bar.abandon();
        }
    }

    /// A bar for a file on its way to the server; the caller moves it on.
    pub(crate) fn copying(&mut self, digest: &str, total: u64) -> ProgressBar {
        let status = format!("copying file {digest}");
        self.blob(&Step {
            status,
            digest: digest.to_owned(),
            total,
            completed: 0,
        });
        self.blobs[digest].clone()
    }

    /// Leaves everything as it stands.
    pub(crate) fn finish(&mut self) {
        self.finish_status();
        self.blobs
            .values()
            .filter(|bar| !bar.is_finished())
            .for_each(ProgressBar::abandon);
    }

    fn finish_status(&mut self) {
        if let Some((_, spinner)) = self.status.take() {
            spinner.set_style(style("{msg}"));
            spinner.abandon();
        }
    }
}

/// A spinner on stderr; hidden where that is no terminal.
pub(crate) fn spinner(text: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_style(style("{msg} {spinner}"));
    spinner.set_message(text.to_owned());
    spinner.enable_steady_tick(TICK);
    spinner
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    style
        .expect("templates are constants that are checked by a test")
        .progress_chars("██ ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(status: &str, digest: &str, total: u64, completed: u64) -> Step {
        Step {
            status: status.into(),
            digest: digest.into(),
            total,
            completed,
        }
    }

    #[test]
    fn a_blob_has_one_bar_and_a_status_replaces_the_last() {
        let mut progress = Progress::new();
        progress.step(&step("pulling manifest", "", 0, 0));
        assert!(progress.status.is_some());
        progress.step(&step("pulling ab", "sha256:ab", 10, 0));
        progress.step(&step("pulling ab", "sha256:ab", 10, 4));
        assert!(progress.status.is_none(), "a bar ends the status before it");
        assert_eq!(progress.blobs["sha256:ab"].position(), 4);
        progress.step(&step("pulling ab", "sha256:ab", 10, 10));
        assert!(progress.blobs["sha256:ab"].is_finished());
        progress.step(&step("success", "", 0, 0));
        assert_eq!(progress.status.as_ref().unwrap().0, "success");
        assert_eq!(progress.blobs.len(), 1);
        progress.finish();
        assert!(progress.status.is_none());
    }
}

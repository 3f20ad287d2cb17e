//! Reading one answer from the server and showing it while it arrives.

use std::io::{self, Write};
use std::time::Duration;

use indicatif::ProgressBar;

use super::super::CliError;
use super::super::client::Lines;
use super::super::wire::{Chunk, Message, Metrics};
use super::{Wrap, terminal_width};
use crate::config::duration::format_duration;

/// How answers are shown.
#[derive(Clone, Debug, Default)]
pub(super) struct Display {
    /// Break lines between words.
    pub wrap: bool,
    /// Leave out what the model thinks.
    pub hide_thinking: bool,
    /// Counts and times after each answer.
    pub verbose: bool,
}

/// An answer, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub message: Message,
    pub metrics: Metrics,
    pub done: bool,
}

impl Reply {
    /// Shows and gathers the answer until its end. What has come stays if the future is dropped.
    pub(super) async fn read(
        &mut self,
        mut lines: Lines,
        printer: &mut Printer<'_>,
    ) -> Result<(), CliError> {
        self.message.role = "assistant".to_owned();
        while let Some(chunk) = lines.next::<Chunk>().await? {
            let thinking = [chunk.thinking, chunk.message.thinking].concat();
            let content = [chunk.response, chunk.message.content].concat();
            printer.thinking(&thinking)?;
            printer.content(&content)?;
            self.message.thinking.push_str(&thinking);
            self.message.content.push_str(&content);
            if chunk.done {
                self.metrics = chunk.metrics;
                self.done = true;
            }
        }
        printer.end()?;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Nothing,
    Thinking,
    Content,
}

/// Writes an answer piece by piece: thoughts between two marks, then the text.
pub(super) struct Printer<'a> {
    out: &'a mut dyn Write,
    wrap: Option<Wrap>,
    wrapped: bool,
    hide_thinking: bool,
    waiting: ProgressBar,
    part: Part,
    line_open: bool,
}

impl<'a> Printer<'a> {
    /// `waiting` is removed once there is something to show.
    pub(super) fn new(out: &'a mut dyn Write, display: &Display, waiting: ProgressBar) -> Self {
        Printer {
            out,
            wrap: new_wrap(display.wrap),
            wrapped: display.wrap,
            hide_thinking: display.hide_thinking,
            waiting,
            part: Part::Nothing,
            line_open: false,
        }
    }

    fn thinking(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() || self.hide_thinking {
            return Ok(());
        }
        if self.part != Part::Thinking {
            self.start(Part::Thinking)?;
            writeln!(self.out, "Thinking...")?;
        }
        self.write(text)
    }

    fn content(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.start(Part::Content)?;
        self.write(text)
    }

    fn end(&mut self) -> io::Result<()> {
        self.start(Part::Nothing)
    }

    fn start(&mut self, part: Part) -> io::Result<()> {
        self.waiting.finish_and_clear();
        if self.part == Part::Thinking && part != Part::Thinking {
            let newline = if self.line_open { "\n" } else { "" };
            write!(self.out, "{newline}...done thinking.\n\n")?;
            self.wrap = new_wrap(self.wrapped);
        }
        self.part = part;
        Ok(())
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.line_open = !text.ends_with('\n');
        match &mut self.wrap {
            Some(wrap) => write!(self.out, "{}", wrap.push(text))?,
            None => write!(self.out, "{text}")?,
        }
        self.out.flush()
    }
}

/// Text that is there already, broken like an answer.
pub(super) fn write_text(out: &mut dyn Write, display: &Display, text: &str) -> io::Result<()> {
    match new_wrap(display.wrap) {
        Some(mut wrap) => write!(out, "{}", wrap.push(text)),
        None => write!(out, "{text}"),
    }
}

fn new_wrap(wanted: bool) -> Option<Wrap> {
    wanted.then(terminal_width).flatten().and_then(Wrap::new)
}

/// Counts, times and rates; what the server left out is left out.
pub(super) fn summary(metrics: &Metrics) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<22}{value}\n"));
    let duration = |nanos| format_duration(Duration::from_nanos(nanos));
    if metrics.total_duration > 0 {
        line("total duration:", duration(metrics.total_duration));
    }
    if metrics.load_duration > 0 {
        line("load duration:", duration(metrics.load_duration));
    }
    for (name, count, nanos) in [
        (
            "prompt eval",
            metrics.prompt_eval_count,
            metrics.prompt_eval_duration,
        ),
        ("eval", metrics.eval_count, metrics.eval_duration),
    ] {
        if count > 0 {
            line(&format!("{name} count:"), format!("{count} token(s)"));
        }
        if nanos > 0 {
            let rate = count as f64 / (nanos as f64 / 1e9);
            line(&format!("{name} duration:"), duration(nanos));
            line(&format!("{name} rate:"), format!("{rate:.2} tokens/s"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(display: Display, pieces: &[(&str, &str)]) -> String {
        let mut out = Vec::new();
        let mut printer = Printer::new(&mut out, &display, ProgressBar::hidden());
        for (thinking, content) in pieces {
            printer.thinking(thinking).unwrap();
            printer.content(content).unwrap();
        }
        printer.end().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn thoughts_stand_between_marks() {
        let pieces = [("I ", ""), ("see.", ""), ("", "Yes"), ("", "."), ("", "")];
        let want = "Thinking...\nI see.\n...done thinking.\n\nYes.";
        assert_eq!(printed(Display::default(), &pieces), want);
        let hidden = Display {
            hide_thinking: true,
            ..Display::default()
        };
        assert_eq!(printed(hidden, &pieces), "Yes.");
    }

    #[test]
    fn thoughts_without_an_answer_are_closed() {
        let want = "Thinking...\nI see.\n...done thinking.\n\n";
        assert_eq!(printed(Display::default(), &[("I see.\n", "")]), want);
    }

    #[test]
    fn the_summary_is_aligned_and_leaves_out_zeros() {
        let metrics = Metrics {
            total_duration: 2_500_000_000,
            load_duration: 1_000_000,
            prompt_eval_count: 26,
            prompt_eval_duration: 130_000_000,
            eval_count: 10,
            eval_duration: 500_000_000,
        };
        let want = "\
total duration:       2.5s
load duration:        1ms
prompt eval count:    26 token(s)
prompt eval duration: 130ms
prompt eval rate:     200.00 tokens/s
eval count:           10 token(s)
eval duration:        500ms
eval rate:            20.00 tokens/s
";
        assert_eq!(summary(&metrics), want);
        assert_eq!(summary(&Metrics::default()), "");
    }
}

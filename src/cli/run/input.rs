//! From typed lines to messages: `"""` opens and closes a text of several lines.

use super::command::{Command, Setting};

const FENCE: &str = "\"\"\"";

/// What a line leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More lines have to come.
    More,
    /// A message.
    Prompt(String),
    /// A command.
    Command(Command),
    /// Nothing was said.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fenced {
    Prompt,
    System,
}

/// Lines of a text that is not closed yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    open: Option<Fenced>,
    text: String,
}

impl Input {
    /// Takes a line.
    pub(super) fn line(&mut self, line: &str) -> Step {
        if let Some(kind) = self.open {
            return self.fenced(kind, line);
        }
        if let Some(text) = line.strip_prefix(FENCE) {
            return self.fenced(Fenced::Prompt, text);
        }
        if !line.starts_with('/') {
            return match line.trim().is_empty() {
                true => Step::Nothing,
                false => Step::Prompt(line.to_owned()),
            };
        }
        match Command::parse(line) {
            Command::Set(Setting::System(text)) => match text.strip_prefix(FENCE) {
                Some(text) => self.fenced(Fenced::System, text),
                None => Step::Command(Command::Set(Setting::System(text))),
            },
            command => Step::Command(command),
        }
    }

    /// Forgets a text that is not closed.
    pub(super) fn reset(&mut self) {
        *self = Input::default();
    }

    /// Whether a text is open.
    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    fn fenced(&mut self, kind: Fenced, line: &str) -> Step {
        let Some(last) = line.strip_suffix(FENCE) else {
            self.open = Some(kind);
            self.text.push_str(line);
            self.text.push('\n');
            return Step::More;
        };
        let text = std::mem::take(&mut self.text) + last;
        self.open = None;
        match kind {
            Fenced::System => Step::Command(Command::Set(Setting::System(text))),
            Fenced::Prompt if text.trim().is_empty() => Step::Nothing,
            Fenced::Prompt => Step::Prompt(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(lines: &[&str]) -> Vec<Step> {
        let mut input = Input::default();
        lines.iter().map(|line| input.line(line)).collect()
    }

    #[test]
    fn a_line_is_a_message_and_an_empty_one_is_nothing() {
        let want = [
            Step::Prompt("hi there".into()),
            Step::Nothing,
            Step::Nothing,
        ];
        assert_eq!(steps(&["hi there", "", "  "]), want);
    }

    #[test]
    fn fences_hold_several_lines() {
        let want = [Step::More, Step::More, Step::Prompt("a\n/bye\nb".into())];
        assert_eq!(steps(&["\"\"\"a", "/bye", "b\"\"\""]), want);
        assert_eq!(
            steps(&["\"\"\"one line\"\"\""]),
            [Step::Prompt("one line".into())]
        );
        assert_eq!(steps(&["\"\"\"\"\"\""]), [Step::Nothing]);
    }

    #[test]
    fn a_system_text_may_be_fenced() {
        let system = |text: &str| Step::Command(Command::Set(Setting::System(text.into())));
        let want = [Step::More, system("Be brief.\nBe kind.")];
        assert_eq!(
            steps(&["/set system \"\"\"Be brief.", "Be kind.\"\"\""]),
            want
        );
        assert_eq!(steps(&["/set system \"\"\"x\"\"\""]), [system("x")]);
        assert_eq!(steps(&["/set system say \"hi\""]), [system("say \"hi\"")]);
    }

    #[test]
    fn an_open_text_can_be_forgotten() {
        let mut input = Input::default();
        input.line("\"\"\"a");
        assert!(input.is_open());
        input.reset();
        assert_eq!(input.line("b"), Step::Prompt("b".into()));
    }
}

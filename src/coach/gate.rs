//! Lets an answer through sentence by sentence, as far as it holds.
//!
//! A sentence with a number that nothing supports does not get through, nor one that was said before; marks of
//! sources get the numbers under which the sources are listed. What is through is plain text and stays: a reader who
//! watches the answer come never sees anything that is not in it at the end.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::check::{Evidence, sentence_ends};
use super::plain::plain;

/// Shorter sentences may be said twice.
const REPEATED_CHARS: usize = 24;
/// Sources that an answer may name at most.
const MOST_SOURCES: usize = 99;

/// An answer on its way.
pub(super) struct Gate<'a> {
    evidence: &'a Evidence,
    /// Passages go by the numbers from 1 to this.
    documents: usize,
    /// The line that is being written.
    line: String,
    /// Bytes of it that were decided about.
    decided: usize,
    /// Whether anything of it got through.
    is_kept: bool,
    /// A list mark that waits for its sentence.
    mark: String,
    /// White space that waits for what comes after it.
    gap: String,
    said: String,
    sentences: Vec<String>,
    cited: Vec<usize>,
}

/// What got through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// All of it.
    pub(super) text: String,
    /// The passages it names, in the order of the numbers that they have in it.
    pub(super) cited: Vec<usize>,
}

impl<'a> Gate<'a> {
    pub(super) fn new(evidence: &'a Evidence, documents: usize) -> Gate<'a> {
        Gate {
            evidence,
            documents: documents.min(MOST_SOURCES),
            line: String::new(),
            decided: 0,
            is_kept: false,
            mark: String::new(),
            gap: String::new(),
            said: String::new(),
            sentences: Vec::new(),
            cited: Vec::new(),
        }
    }

    /// Takes more of the answer; gives what can be said now.
    pub(super) fn push(&mut self, text: &str) -> String {
        let before = self.said.len();
        let mut lines = text.split('\n');
        self.line.push_str(lines.next().unwrap_or_default());
        for next in lines {
            self.end_line();
            self.line.push_str(next);
        }
        // The last end may be none: more can follow.
        for end in sentence_ends(&self.line) {
            if end > self.decided && end < self.line.len() {
                self.decide(end);
            }
        }
        self.said[before..].to_owned()
    }

    /// The rest; a sentence that was cut off is left out where there is another.
    pub(super) fn finish(mut self, was_cut: bool) -> (String, Passed) {
        let before = self.said.len();
        let is_whole = |c: char| matches!(c, '.' | '!' | '?' | ':' | ')' | ']' | '"' | '”');
        if was_cut && !self.said.is_empty() && !self.line.trim_end().ends_with(is_whole) {
            self.line.truncate(self.decided);
        }
        self.end_line();
        let rest = self.said[before..].to_owned();
        (
            rest,
            Passed {
                text: self.said,
                cited: self.cited,
            },
        )
    }

    fn end_line(&mut self) {
        self.decide(self.line.len());
        let was_empty = self.line.trim().is_empty();
        // Of a line that was left out not even its end stays.
        if (self.is_kept || was_empty) && !self.said.is_empty() {
            let breaks = self.gap.matches('\n').count();
            self.gap = "\n".repeat((breaks + 1).min(2));
        }
        self.line.clear();
        self.mark.clear();
        (self.decided, self.is_kept) = (0, false);
    }

    fn decide(&mut self, end: usize) {
        let piece = &self.line[self.decided..end];
        let unsupported = self.evidence.unsupported(&self.line[..end]);
        let is_supported = unsupported
            .iter()
            .all(|number| number.span.start < self.decided);
        let is_words = piece.chars().any(char::is_alphanumeric);
        let is_mark =
            self.decided == 0 && end < self.line.len() && !piece.chars().any(char::is_alphabetic);
        self.decided = end;
        if piece.trim().is_empty() || !is_supported {
            return;
        }
        if is_mark {
            self.mark = piece.to_owned();
            return;
        }
        let known: String = piece.trim().to_lowercase();
        if known.chars().count() >= REPEATED_CHARS && self.sentences.contains(&known) {
            return;
        }
        if !is_words && self.said.is_empty() {
            return;
        }
        let text = format!("{}{piece}", std::mem::take(&mut self.mark));
        self.sentences.push(known);
        self.say(&text);
    }

    fn say(&mut self, text: &str) {
        let text = plain(&self.cite(text));
        let text = if self.said.is_empty() {
            text.trim_start()
        } else {
            text.as_str()
        };
        let words = text.trim_end();
        if words.is_empty() {
            return;
        }
        self.said.push_str(&std::mem::take(&mut self.gap));
        self.said.push_str(words);
        if words.len() < text.len() {
            self.gap = " ".to_owned();
        }
        self.is_kept = true;
    }

    /// Numbers the marks of sources anew, in the order in which they come; marks of nothing go.
    fn cite(&mut self, text: &str) -> String {
        static MARK: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r" ?\[([0-9]{1,2})\]").expect("the pattern is fixed"));
        let number = |captures: &Captures<'_>| {
            let known = captures[1]
                .parse()
                .ok()
                .filter(|number| (1..=self.documents).contains(number));
            let Some(known) = known else {
                return String::new();
            };
            let at = self
                .cited
                .iter()
                .position(|cited| *cited == known)
                .unwrap_or_else(|| {
                    self.cited.push(known);
                    self.cited.len() - 1
                });
            let space = if captures[0].starts_with(' ') {
                " "
            } else {
                ""
            };
            format!("{space}[{}]", at + 1)
        };
        MARK.replace_all(text, number).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is left of an answer, whatever the pieces in which it comes.
    fn pass(answer: &str) -> Passed {
        let evidence = Evidence::new().with_text("I earn 3,000 and inflation is 2 %.");
        let mut results = [1, 2, 7, 1000].map(|size| {
            let mut gate = Gate::new(&evidence, 3);
            let mut said = String::new();
            let chars: Vec<char> = answer.chars().collect();
            for piece in chars.chunks(size) {
                said.push_str(&gate.push(&piece.iter().collect::<String>()));
            }
            let (rest, passed) = gate.finish(false);
            assert_eq!(said + &rest, passed.text, "what was said is the answer");
            passed
        });
        let first = std::mem::take(&mut results[0]);
        assert!(
            results[1..].iter().all(|other| *other == first),
            "{results:?}"
        );
        first
    }

    fn text(answer: &str) -> String {
        pass(answer).text
    }

    #[test]
    fn sentences_with_unsupported_numbers_do_not_get_through() {
        assert_eq!(
            text("You earn 3000. You will have 99,000. Save first."),
            "You earn 3000. Save first."
        );
        assert_eq!(text("It costs 17 %."), "");
        assert_eq!(
            text("Prices rise by 2 % a year. That is 60 in money."),
            "Prices rise by 2 % a year."
        );
        assert_eq!(text("Nothing to count here"), "Nothing to count here");
    }

    #[test]
    fn lists_keep_their_marks_and_lose_whole_items() {
        let answer = "Do this:\n1. Save 3000.\n2. Save 4321.\n3. Wait.\n\n\n\nThe end.";
        assert_eq!(
            text(answer),
            "Do this:\n1. Save 3000.\n3. Wait.\n\nThe end."
        );
        assert_eq!(text("- one\n- has 777\n- two"), "- one\n- two");
    }

    #[test]
    fn nobody_is_told_the_same_twice() {
        let once = "An emergency fund protects you from debt.";
        assert_eq!(
            text(&format!("{once} {once} {once} Yes. Yes.")),
            format!("{once} Yes. Yes.")
        );
    }

    #[test]
    fn sources_are_numbered_as_they_come() {
        let passed = pass("Save first [3]. Pay debts [1][3]. Trust me [7]. Good [2].");
        assert_eq!(
            passed.text,
            "Save first [1]. Pay debts [2][1]. Trust me. Good [3]."
        );
        assert_eq!(passed.cited, [3, 1, 2]);
    }

    #[test]
    fn only_plain_text_gets_through() {
        let answer =
            "<script>alert('x')</script> Look [here](javascript:x). **Bold** \u{202e}words 🎉.";
        let shown = text(answer);
        assert!(
            !shown.contains(['<', '>', '*', '\u{202e}']) && !shown.contains("]("),
            "{shown}"
        );
        assert!(shown.contains("Bold") && shown.contains('🎉'));
    }

    #[test]
    fn a_sentence_that_was_cut_off_is_left_out() {
        let evidence = Evidence::new();
        let finish = |answer: &str, was_cut| {
            let mut gate = Gate::new(&evidence, 0);
            gate.push(answer);
            gate.finish(was_cut).1.text
        };
        assert_eq!(finish("Save first. Then you should", true), "Save first.");
        assert_eq!(
            finish("Save first. Then you should", false),
            "Save first. Then you should"
        );
        assert_eq!(
            finish("Then you should", true),
            "Then you should",
            "better than nothing"
        );
        assert_eq!(
            finish("Save first. Then wait.", true),
            "Save first. Then wait."
        );
    }
}

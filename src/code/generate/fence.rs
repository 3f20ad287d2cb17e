//! Files between fences: a model writes a file between two lines of backticks, and cannot close it too early.
//!
//! The opening line is fixed. No line of the file may start with as many backticks as the fence has, so the first one
//! that does is the end. A file that has such lines already gets a longer fence, as CommonMark's rule is.

use std::fmt::Write;

/// Backticks of a fence at least.
const TICKS: usize = 3;
/// Any character of a line; others have no place in text.
const ANY: &str = r"[^\n\x00-\x08\x0B-\x1F\x7F]";
/// The same, but for a backtick.
const NO_TICK: &str = r"[^`\n\x00-\x08\x0B-\x1F\x7F]";
/// What a file starts with.
const FIRST: &str = r"[^` \t\n\x00-\x08\x0B-\x1F\x7F]";

/// How one file is fenced in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    ticks: usize,
    language: &'static str,
}

/// A file as it came out of its fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfenced {
    /// What stands inside.
    pub content: String,
    /// Whether the closing line was reached.
    pub is_whole: bool,
}

impl Fence {
    /// For a file of a language; `present`: what it holds so far.
    pub(super) fn new(language: &'static str, present: Option<&str>) -> Fence {
        // Documents have fences of their own.
        let usual = if language == "markdown" {
            TICKS + 1
        } else {
            TICKS
        };
        Fence {
            ticks: usual.max(longest_run(present.unwrap_or_default()) + 1),
            language,
        }
    }

    /// The grammar of a fenced file, as Lark text; one that `may_be_empty` need not have a line.
    pub(super) fn grammar(&self, may_be_empty: bool) -> String {
        let (ticks, fewer) = ("`".repeat(self.ticks), self.ticks - 1);
        let line = format!("`{{0,{fewer}}}({NO_TICK}{ANY}*)?\\n");
        let lines = format!("{FIRST}{ANY}*\\n({line})*");
        let body = match may_be_empty {
            true => format!("({lines})?"),
            false => lines,
        };
        let language = self.language;
        format!("%llguidance {{}}\nstart: /{ticks}{language}\\n{body}{ticks}/\n")
    }

    /// A text between fences.
    pub(super) fn wrap(&self, content: &str) -> String {
        let ticks = "`".repeat(self.ticks);
        let mut text = format!("{ticks}{}\n{content}", self.language);
        if !content.is_empty() && !content.ends_with('\n') {
            text.push('\n');
        }
        let _ = write!(text, "{ticks}");
        text
    }

    /// What a model wrote under the grammar, without the fences.
    pub(super) fn unwrap(&self, text: &str) -> Unfenced {
        let mut reader = self.reader();
        let mut content = reader.push(text);
        let is_whole = reader.is_closed;
        if !is_whole {
            content.push_str(&reader.held);
        }
        Unfenced { content, is_whole }
    }

    /// The same, piece by piece.
    pub(super) fn reader(&self) -> Reader {
        Reader {
            opening: self.ticks + self.language.len() + 1,
            ticks: self.ticks,
            held: String::new(),
            is_inside_line: false,
            is_closed: false,
        }
    }
}

/// Takes a fenced file as it is written and gives what stands inside.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    /// Bytes of the opening line that are still to come.
    opening: usize,
    ticks: usize,
    /// Backticks at the start of a line, which may become the end.
    held: String,
    is_inside_line: bool,
    is_closed: bool,
}

impl Reader {
    /// More of the fenced text in, more of the file out.
    pub(super) fn push(&mut self, text: &str) -> String {
        let mut out = String::new();
        for char in text.chars() {
            if self.opening > 0 {
                self.opening = self.opening.saturating_sub(char.len_utf8());
            } else if !self.is_closed {
                self.take(char, &mut out);
            }
        }
        out
    }

    fn take(&mut self, char: char, out: &mut String) {
        if char == '`' && !self.is_inside_line {
            self.held.push(char);
            self.is_closed = self.held.len() == self.ticks;
            return;
        }
        out.push_str(&std::mem::take(&mut self.held));
        out.push(char);
        self.is_inside_line = char != '\n';
    }
}

/// The longest run of backticks anywhere in a text.
fn longest_run(text: &str) -> usize {
    let mut longest = 0;
    let mut run = 0;
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    /// The grammar is one regular expression, and can be asked what it lets through.
    fn expression(fence: &Fence, may_be_empty: bool) -> Regex {
        let lark = fence.grammar(may_be_empty);
        let line = lark.lines().nth(1).unwrap();
        let inner = line.strip_prefix("start: /").unwrap();
        Regex::new(&format!("^(?:{})$", inner.strip_suffix('/').unwrap())).unwrap()
    }

    #[test]
    fn a_file_comes_out_as_it_went_in() {
        let fence = Fence::new("python", None);
        let text = fence.wrap("x = `1`\n``\ny\n");
        assert_eq!(text, "```python\nx = `1`\n``\ny\n```");
        assert!(expression(&fence, false).is_match(&text));
        let back = fence.unwrap(&text);
        assert_eq!(
            (back.content.as_str(), back.is_whole),
            ("x = `1`\n``\ny\n", true)
        );
        let cut = fence.unwrap("```python\nx = 1\n``");
        assert_eq!((cut.content.as_str(), cut.is_whole), ("x = 1\n``", false));
        assert!(!fence.unwrap("```pyth").is_whole);
    }

    #[test]
    fn a_fence_is_longer_than_what_stands_inside() {
        let document = "Like this:\n````js\nx\n````\n";
        let fence = Fence::new("markdown", Some(document));
        assert!(fence.wrap(document).starts_with("`````markdown\n"));
        assert_eq!(fence.unwrap(&fence.wrap(document)).content, document);
        // A new document may have ordinary fences.
        let fence = Fence::new("markdown", None);
        let text = fence.wrap("```js\nx\n```\n");
        assert_eq!(fence.unwrap(&text).content, "```js\nx\n```\n");
    }

    #[test]
    fn no_line_inside_can_be_taken_for_the_end() {
        let fence = Fence::new("text", None);
        let expression = expression(&fence, false);
        assert!(!expression.is_match("```text\na\n```\nb\n```"));
        assert!(!expression.is_match("```text\na\n````\n```"));
        assert!(!expression.is_match("```text\n```"), "a file has a line");
        assert!(
            !expression.is_match("```text\n\n```"),
            "that says something"
        );
        assert!(!expression.is_match("```text\na\u{0}\n```"));
        assert!(!expression.is_match("```text\na\n```\n"), "nothing follows");
        assert!(expression.is_match("```text\na ``` b\n  ```\n```"));
        assert!(super::tests::expression(&fence, true).is_match("```text\n```"));
    }

    proptest! {
        #[test]
        fn whatever_the_grammar_lets_through_is_read_whole(lines in proptest::collection::vec("[`a \u{e9}]{0,5}", 1..6)) {
            let fence = Fence::new("text", None);
            let text = format!("```text\n{}\n```", lines.join("\n"));
            let is_sound = expression(&fence, false).is_match(&text);
            let back = fence.unwrap(&text);
            let inside = format!("{}\n", lines.join("\n"));
            if is_sound {
                prop_assert!(back.is_whole);
                prop_assert_eq!(&back.content, &inside);
            }
            // Piece by piece it is the same.
            let mut reader = fence.reader();
            let pieces: String = text.chars().map(|c| reader.push(&c.to_string())).collect();
            prop_assert_eq!(pieces, back.content);
        }
    }
}

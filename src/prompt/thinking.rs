//! Splits what a thinking model writes into its thoughts and its answer, as it streams.

/// The texts around thoughts, such as `<think>` and `</think>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThinkingTags {
    /// Opens thoughts; never empty.
    pub open: String,
    /// Closes them; never empty.
    pub close: String,
}

impl Default for ThinkingTags {
    fn default() -> Self {
        Self {
            open: "<think>".to_owned(),
            close: "</think>".to_owned(),
        }
    }
}

/// One stretch of a model's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// Part of the thoughts.
    Thinking(String),
    /// Part of the answer.
    Content(String),
}

/// Streaming splitter. Thoughts are recognised only at the very beginning, spaces aside; spaces
/// after either tag are swallowed, and what might become a tag is held back.
#[derive(Clone, Debug)]
pub struct ThinkingSplitter {
    tags: ThinkingTags,
    state: State,
    buffer: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    BeforeOpen,
    AfterOpen,
    Thinking,
    AfterClose,
    Content,
}

impl ThinkingSplitter {
    /// `inside` when the prompt already ends with the opening tag.
    pub fn new(tags: ThinkingTags, inside: bool) -> Self {
        let state = if inside {
            State::AfterOpen
        } else {
            State::BeforeOpen
        };
        Self {
            tags,
            state,
            buffer: String::new(),
        }
    }

    /// Whether the answer has begun.
    pub fn in_content(&self) -> bool {
        matches!(self.state, State::AfterClose | State::Content)
    }

    /// The tag that ends the thoughts; empty outside of them.
    pub fn closing(&self) -> &str {
        match self.state {
            State::AfterOpen | State::Thinking => &self.tags.close,
            State::BeforeOpen | State::AfterClose | State::Content => "",
        }
    }

    /// Takes the next piece of output and returns what is decided by it.
    pub fn push(&mut self, text: &str) -> Vec<Stretch> {
        self.buffer.push_str(text);
        let mut out = Vec::new();
        while self.advance(&mut out) {}
        out
    }

    /// Returns what was held back, once the output has ended.
    pub fn finish(&mut self) -> Vec<Stretch> {
        let rest = std::mem::take(&mut self.buffer);
        let rest = match self.state {
            State::AfterOpen | State::AfterClose => rest.trim_start().to_owned(),
            _ => rest,
        };
        let thinking = matches!(self.state, State::AfterOpen | State::Thinking);
        self.state = State::Content;
        match rest.is_empty() {
            true => Vec::new(),
            false if thinking => vec![Stretch::Thinking(rest)],
            false => vec![Stretch::Content(rest)],
        }
    }

    /// One step; true when another may follow.
    fn advance(&mut self, out: &mut Vec<Stretch>) -> bool {
        match self.state {
            State::BeforeOpen => {
                let trimmed = self.buffer.trim_start();
                if let Some(rest) = trimmed.strip_prefix(self.tags.open.as_str()) {
                    self.buffer = rest.to_owned();
                    self.state = State::AfterOpen;
                    true
                } else if self.tags.open.starts_with(trimmed) {
                    // Still nothing but spaces or the beginning of the tag.
                    false
                } else {
                    self.state = State::Content;
                    true
                }
            }
            State::AfterOpen | State::AfterClose => {
                self.buffer = self.buffer.trim_start().to_owned();
                if self.buffer.is_empty() {
                    return false;
                }
                self.state = if self.state == State::AfterOpen {
                    State::Thinking
                } else {
                    State::Content
                };
                true
            }
            State::Thinking => self.advance_thinking(out),
            State::Content => {
                if !self.buffer.is_empty() {
                    out.push(Stretch::Content(std::mem::take(&mut self.buffer)));
                }
                false
            }
        }
    }

    fn advance_thinking(&mut self, out: &mut Vec<Stretch>) -> bool {
        let close = self.buffer.find(&self.tags.close);
        let end = close.unwrap_or(self.buffer.len() - overlap(&self.buffer, &self.tags.close));
        let thoughts: String = self.buffer.drain(..end).collect();
        if !thoughts.is_empty() {
            out.push(Stretch::Thinking(thoughts));
        }
        if close.is_some() {
            self.buffer.drain(..self.tags.close.len());
            self.state = State::AfterClose;
        }
        close.is_some()
    }
}

/// Length of the longest end of `text` that begins `tag`.
pub(super) fn overlap(text: &str, tag: &str) -> usize {
    let most = tag.len().min(text.len());
    (1..=most)
        .rev()
        .find(|length| tag.is_char_boundary(*length) && text.ends_with(&tag[..*length]))
        .unwrap_or(0)
}

/// The answer without the thoughts before it.
pub fn without_thinking(text: &str) -> String {
    let mut splitter = ThinkingSplitter::new(ThinkingTags::default(), false);
    let mut out = String::new();
    for stretch in splitter.push(text).into_iter().chain(splitter.finish()) {
        if let Stretch::Content(content) = stretch {
            out.push_str(&content);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&str], inside: bool) -> (String, String) {
        let mut splitter = ThinkingSplitter::new(ThinkingTags::default(), inside);
        let mut stretches: Vec<_> = pieces.iter().flat_map(|p| splitter.push(p)).collect();
        stretches.extend(splitter.finish());
        let (mut thinking, mut content) = (String::new(), String::new());
        for stretch in stretches {
            match stretch {
                Stretch::Thinking(text) => thinking.push_str(&text),
                Stretch::Content(text) => content.push_str(&text),
            }
        }
        (thinking, content)
    }

    #[test]
    fn thoughts_and_answer_part_at_the_tags() {
        let cases: [(&[&str], bool, &str, &str); 10] = [
            (&["<think>a b</think>c"], false, "a b", "c"),
            (
                &[" \n<th", "ink>\n a", " b\n</thi", "nk>\n\n c "],
                false,
                "a b\n",
                "c ",
            ),
            (
                &["hello <think>x</think>"],
                false,
                "",
                "hello <think>x</think>",
            ),
            (&["<thing>"], false, "", "<thing>"),
            (&["a</think>b"], true, "a", "b"),
            (
                &["<think>never closed </thi"],
                false,
                "never closed </thi",
                "",
            ),
            (
                &["<think>a </thing> b</think>c"],
                false,
                "a </thing> b",
                "c",
            ),
            (&["<think></think>c"], false, "", "c"),
            (&["  \n"], false, "", "  \n"),
            (
                &["<think>a</think>b<think>c</think>"],
                false,
                "a",
                "b<think>c</think>",
            ),
        ];
        for (pieces, inside, thinking, content) in cases {
            let want = (thinking.to_owned(), content.to_owned());
            assert_eq!(split(pieces, inside), want, "{pieces:?}");
        }
    }

    #[test]
    fn thoughts_are_not_held_back_longer_than_needed() {
        let mut splitter = ThinkingSplitter::new(ThinkingTags::default(), false);
        assert_eq!(splitter.push("<think>"), []);
        assert_eq!(splitter.push("one "), [Stretch::Thinking("one ".into())]);
        assert_eq!(splitter.push("two<"), [Stretch::Thinking("two".into())]);
        assert_eq!(splitter.push("b"), [Stretch::Thinking("<b".into())]);
        assert!(!splitter.in_content());
        assert_eq!(splitter.push("</think>x"), [Stretch::Content("x".into())]);
        assert!(splitter.in_content());
    }

    #[test]
    fn earlier_thoughts_are_removed() {
        assert_eq!(without_thinking("<think>a</think>\n\nb"), "b");
        assert_eq!(without_thinking("plain"), "plain");
    }

    proptest! {
        #[test]
        fn cutting_elsewhere_changes_nothing(
            parts in prop::collection::vec(prop::sample::select(vec![
                "<think>", "</think>", "<", "</th", " ", "\n", "a", "é", ">",
            ]), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        ) {
            let text = parts.concat();
            let whole = split(&[&text], false);
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
            ends.retain(|end| text.is_char_boundary(*end));
            ends.push(text.len());
            ends.sort_unstable();
            let mut start = 0;
            let mut pieces = Vec::new();
            for end in ends {
                pieces.push(&text[start..end]);
                start = end;
            }
            prop_assert_eq!(split(&pieces, false), whole);
        }
    }
}

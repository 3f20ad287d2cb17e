//! From the text a model writes to thoughts, words and calls.

use crate::api::ids;
use crate::prompt::{ModelPrompt, Parsed, ThinkingSplitter, ThinkingTags, Tool, ToolCall, ToolParser};

/// What a bit of a model's text meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Meaning {
    /// Words of the answer.
    pub content: String,
    /// Thoughts before it.
    pub thinking: String,
    /// Calls that are complete.
    pub tool_calls: Vec<ToolCall>,
}

/// Takes a model's text apart as it comes.
pub(crate) struct Reader {
    thinking: Option<ThinkingSplitter>,
    tools: Option<ToolParser>,
    calls: usize,
}

impl Reader {
    /// For an answer to `prompt`; without `tags` nothing is thinking, without `tools` nothing a call.
    pub(crate) fn new(
        model: &ModelPrompt,
        tags: Option<ThinkingTags>,
        prompt: &str,
        tools: &[Tool],
    ) -> Reader {
        Reader {
            thinking: tags.map(|tags| ThinkingSplitter::new(tags, prompt)),
            tools: (!tools.is_empty()).then(|| model.tool_parser(tools)),
            calls: 0,
        }
    }

    /// The next bit of text.
    pub(crate) fn push(&mut self, text: &str) -> Meaning {
        let parsed = match &mut self.thinking {
            Some(splitter) => splitter.push(text),
            None => vec![Parsed::Content(text.to_owned())],
        };
        self.sort(parsed)
    }

    /// What was held back when the text is over.
    pub(crate) fn finish(&mut self) -> Meaning {
        let rest = self.thinking.as_mut().map(ThinkingSplitter::finish).unwrap_or_default();
        let mut meaning = self.sort(rest);
        let rest = self.tools.as_mut().map(ToolParser::finish).unwrap_or_default();
        self.add(&mut meaning, rest);
        meaning
    }

    fn sort(&mut self, parsed: Vec<Parsed>) -> Meaning {
        let mut meaning = Meaning::default();
        for part in parsed {
            match (part, &mut self.tools) {
                (Parsed::Content(text), Some(tools)) => {
                    let parts = tools.push(&text);
                    self.add(&mut meaning, parts);
                }
                (part, _) => self.add(&mut meaning, vec![part]),
            }
        }
        meaning
    }

    fn add(&mut self, meaning: &mut Meaning, parts: Vec<Parsed>) {
        for part in parts {
            match part {
                Parsed::Content(text) => meaning.content.push_str(&text),
                Parsed::Thinking(text) => meaning.thinking.push_str(&text),
                Parsed::Call(mut call) => {
                    call.id = ids::tool_call();
                    call.function.index = self.calls;
                    self.calls += 1;
                    meaning.tool_calls.push(call);
                }
            }
        }
    }
}

//! Turns what a model writes into thoughts, content and calls of tools, as it streams.

use rand::Rng as _;

use super::message::Tool;
use super::thinking::{Stretch, ThinkingSplitter, ThinkingTags};
use super::tools::{Piece, ToolParser};

/// What to look for in the output that answers one prompt.
#[derive(Clone, Debug, Default)]
pub struct OutputParser {
    thinking: Option<ThinkingSplitter>,
    tools: Option<ToolParser>,
}

impl OutputParser {
    /// Takes all output as content.
    pub fn plain() -> Self {
        Self::default()
    }

    /// Looks for thoughts between `tags`; `inside` when the prompt already opened them.
    #[must_use]
    pub fn with_thinking(mut self, tags: ThinkingTags, inside: bool) -> Self {
        self.thinking = Some(ThinkingSplitter::new(tags, inside));
        self
    }

    /// Looks for calls of `tools` behind any of `tags`.
    #[must_use]
    pub fn with_tools(mut self, tags: Vec<String>, tools: &[Tool]) -> Self {
        self.tools = Some(ToolParser::new(tags, tools));
        self
    }

    /// Whether everything from here on is content or a call: thoughts are over or not expected.
    pub fn thinking_is_over(&self) -> bool {
        self.thinking
            .as_ref()
            .is_none_or(ThinkingSplitter::in_content)
    }

    /// Texts by which a model may announce and divide calls; none where no tools are declared.
    pub fn call_marks(&self) -> impl Iterator<Item = &str> {
        let inner = ["[ARGS]", "[CALL_ID]"];
        self.tools
            .iter()
            .flat_map(move |tools| tools.tags().iter().map(String::as_str).chain(inner))
    }

    /// What would end thoughts that are under way; empty where none are.
    pub fn closing(&self) -> &str {
        self.thinking.as_ref().map_or("", ThinkingSplitter::closing)
    }

    /// Takes the next piece of output and returns what is decided by it. Calls get a fresh id.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let stretches = match &mut self.thinking {
            Some(thinking) => thinking.push(text),
            None => vec![Stretch::Content(text.to_owned())],
        };
        self.pieces(stretches)
    }

    /// Returns what was held back, once the output has ended.
    pub fn finish(&mut self) -> Vec<Piece> {
        let stretches = match &mut self.thinking {
            Some(thinking) => thinking.finish(),
            None => Vec::new(),
        };
        let mut pieces = self.pieces(stretches);
        if let Some(tools) = &mut self.tools {
            pieces.extend(tools.finish().into_iter().map(with_id));
        }
        pieces
    }

    fn pieces(&mut self, stretches: Vec<Stretch>) -> Vec<Piece> {
        let mut out = Vec::new();
        for stretch in stretches {
            match (stretch, &mut self.tools) {
                (Stretch::Thinking(text), _) => out.push(Piece::Thinking(text)),
                (Stretch::Content(text), None) if text.is_empty() => {}
                (Stretch::Content(text), None) => out.push(Piece::Content(text)),
                (Stretch::Content(text), Some(tools)) => {
                    out.extend(tools.push(&text).into_iter().map(with_id));
                }
            }
        }
        out
    }
}

fn with_id(mut piece: Piece) -> Piece {
    if let Piece::Call(call) = &mut piece {
        call.id = call_id();
    }
    piece
}

/// A name for a call: `call_` and eight letters or digits.
fn call_id() -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    let letters = (0..8).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())]));
    "call_".chars().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn thoughts_content_and_calls_come_in_order() {
        let tool = Tool::new(&json!({"function": {"name": "now"}})).unwrap();
        let mut parser = OutputParser::plain()
            .with_thinking(ThinkingTags::default(), true)
            .with_tools(vec!["<tool_call>".to_owned()], &[tool]);
        assert!(!parser.thinking_is_over());
        let mut pieces = parser.push("the tool</think>\n\nOk <tool_call>{\"name\": ");
        assert!(parser.thinking_is_over());
        pieces.extend(parser.push("\"now\", \"arguments\": {}}</tool_call>"));
        pieces.extend(parser.finish());
        let [
            Piece::Thinking(thoughts),
            Piece::Content(content),
            Piece::Call(call),
        ] = &pieces[..]
        else {
            panic!("{pieces:?}");
        };
        assert_eq!((thoughts.as_str(), content.as_str()), ("the tool", "Ok "));
        assert_eq!(call.function.name, "now");
        assert!(
            call.id.len() == 13 && call.id.starts_with("call_"),
            "{}",
            call.id
        );
    }

    #[test]
    fn thoughts_under_way_can_be_closed() {
        let mut parser = OutputParser::plain().with_thinking(ThinkingTags::default(), true);
        let mut pieces = parser.push("half a thought <");
        let closing = parser.closing().to_owned();
        assert_eq!(closing, "</think>");
        pieces.extend(parser.push(&closing));
        assert!(parser.thinking_is_over() && parser.closing().is_empty());
        pieces.extend(parser.push("{}"));
        let all = |wanted: fn(&Piece) -> Option<&str>| -> String {
            pieces.iter().filter_map(wanted).collect()
        };
        let thoughts = all(|piece| match piece {
            Piece::Thinking(text) => Some(text),
            _ => None,
        });
        let content = all(|piece| match piece {
            Piece::Content(text) => Some(text),
            _ => None,
        });
        assert_eq!(
            (thoughts.as_str(), content.as_str()),
            ("half a thought <", "{}")
        );
        assert_eq!(OutputParser::plain().closing(), "");
    }

    #[test]
    fn without_anything_to_find_all_is_content() {
        let mut parser = OutputParser::plain();
        assert!(parser.thinking_is_over());
        assert_eq!(parser.push("<think>{"), [Piece::Content("<think>{".into())]);
        assert_eq!(parser.finish(), []);
    }
}

//! An answer in the making, as events.

use serde_json::{Value, json};

use crate::api::error::{ApiError, Dialect};
use crate::api::ids;
use crate::api::stream::Frame;
use crate::api::verbs::{Finish, Piece};

use super::{stop_reason, usage};

/// Turns pieces into blocks; one is closed before the next is opened.
pub(super) struct Events {
    model: String,
    input_tokens: usize,
    index: usize,
    open: Option<Kind>,
    has_calls: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thinking,
    Text,
}

impl Events {
    /// `input_tokens` is what the start of the stream says of the prompt.
    pub(super) fn new(model: &str, input_tokens: usize) -> Events {
        Events {
            model: model.to_owned(),
            input_tokens,
            index: 0,
            open: None,
            has_calls: false,
        }
    }

    pub(super) fn begin(&mut self) -> Vec<Frame> {
        let message = json!({
            "id": ids::hex24("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "usage": {"input_tokens": self.input_tokens, "output_tokens": 0},
        });
        vec![event("message_start", json!({"message": message}))]
    }

    pub(super) fn piece(&mut self, piece: Piece) -> Vec<Frame> {
        let mut frames = Vec::new();
        if !piece.thinking.is_empty() {
            self.open(Kind::Thinking, &mut frames);
            let delta = json!({"type": "thinking_delta", "thinking": piece.thinking});
            frames.push(self.delta(delta));
        }
        if !piece.content.is_empty() {
            self.open(Kind::Text, &mut frames);
            frames.push(self.delta(json!({"type": "text_delta", "text": piece.content})));
        }
        for call in piece.tool_calls {
            self.close(&mut frames);
            self.has_calls = true;
            let block = json!({
                "type": "tool_use", "id": call.id, "name": call.function.name, "input": {},
            });
            frames.push(self.start(block));
            let arguments = Value::Object(call.function.arguments).to_string();
            let delta = json!({"type": "input_json_delta", "partial_json": arguments});
            frames.push(self.delta(delta));
            frames.push(self.stop());
        }
        frames
    }

    pub(super) fn finish(&mut self, finish: &Finish) -> Vec<Frame> {
        let mut frames = Vec::new();
        self.close(&mut frames);
        let delta = json!({
            "stop_reason": stop_reason(finish.reason, self.has_calls), "stop_sequence": null,
        });
        frames.push(event(
            "message_delta",
            json!({"delta": delta, "usage": usage(finish)}),
        ));
        frames.push(event("message_stop", json!({})));
        frames
    }

    pub(super) fn fail(&mut self, error: &ApiError) -> Vec<Frame> {
        vec![Frame::event("error", &error.body(Dialect::Anthropic))]
    }

    fn open(&mut self, kind: Kind, frames: &mut Vec<Frame>) {
        if self.open == Some(kind) {
            return;
        }
        self.close(frames);
        let block = match kind {
            Kind::Thinking => json!({"type": "thinking", "thinking": ""}),
            Kind::Text => json!({"type": "text", "text": ""}),
        };
        frames.push(self.start(block));
        self.open = Some(kind);
    }

    fn close(&mut self, frames: &mut Vec<Frame>) {
        if self.open.take().is_some() {
            frames.push(self.stop());
        }
    }

    fn start(&self, block: Value) -> Frame {
        event(
            "content_block_start",
            json!({"index": self.index, "content_block": block}),
        )
    }

    fn delta(&self, delta: Value) -> Frame {
        event(
            "content_block_delta",
            json!({"index": self.index, "delta": delta}),
        )
    }

    fn stop(&mut self) -> Frame {
        let frame = event("content_block_stop", json!({"index": self.index}));
        self.index += 1;
        frame
    }
}

fn event(name: &str, mut data: Value) -> Frame {
    data["type"] = name.into();
    Frame::event(name, &data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(frames: &[Frame]) -> Vec<String> {
        let name = |frame: &Frame| {
            let text = format!("{frame:?}");
            text.split("event: ")
                .nth(1)
                .and_then(|t| t.split("\\n").next())
                .unwrap()
                .to_owned()
        };
        frames.iter().map(name).collect()
    }

    #[test]
    fn blocks_follow_each_other() {
        let mut events = Events::new("m", 3);
        assert_eq!(names(&events.begin()), ["message_start"]);
        let both = Piece {
            thinking: "t".into(),
            content: "c".into(),
            ..Piece::default()
        };
        assert_eq!(
            names(&events.piece(both)),
            [
                "content_block_start",
                "content_block_delta",
                "content_block_stop",
                "content_block_start",
                "content_block_delta",
            ]
        );
        let call = Piece {
            tool_calls: vec![Default::default()],
            ..Piece::default()
        };
        assert_eq!(
            names(&events.piece(call)),
            [
                "content_block_stop",
                "content_block_start",
                "content_block_delta",
                "content_block_stop"
            ]
        );
        assert_eq!(events.index, 3);
    }
}

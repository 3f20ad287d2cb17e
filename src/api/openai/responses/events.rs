//! A response in the making, as events.

use serde_json::{Value, json};

use crate::api::error::{ApiError, Dialect};
use crate::api::ids;
use crate::api::stream::Frame;
use crate::api::verbs::{Finish, Piece};
use crate::prompt::ToolCall;

use super::{Call, Head, call_item, message_item, reasoning_item, text_part};

/// Turns pieces into events; items come one after the other, never at once.
pub(super) struct Events {
    head: Head,
    sequence: u64,
    output: Vec<Value>,
    open: Option<Open>,
    has_message: bool,
}

/// The item being written.
struct Open {
    kind: Kind,
    id: String,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
}

impl Events {
    pub(super) fn new(head: Head) -> Events {
        Events {
            head,
            sequence: 0,
            output: Vec::new(),
            open: None,
            has_message: false,
        }
    }

    pub(super) fn begin(&mut self) -> Vec<Frame> {
        let response = self.head.object("in_progress", Vec::new(), None);
        vec![
            self.event("response.created", json!({"response": response})),
            self.event("response.in_progress", json!({"response": response})),
        ]
    }

    pub(super) fn piece(&mut self, piece: Piece) -> Vec<Frame> {
        let mut frames = Vec::new();
        if !piece.thinking.is_empty() {
            self.write(Kind::Reasoning, &piece.thinking, &mut frames);
        }
        if !piece.content.is_empty() {
            self.write(Kind::Message, &piece.content, &mut frames);
        }
        for call in piece.tool_calls {
            self.close(&mut frames);
            self.call(call, &mut frames);
        }
        frames
    }

    pub(super) fn finish(&mut self, finish: &Finish) -> Vec<Frame> {
        let mut frames = Vec::new();
        let is_answered =
            self.has_message || self.output.iter().any(|i| i["type"] == "function_call");
        if !is_answered && !matches!(&self.open, Some(open) if open.kind == Kind::Message) {
            self.write(Kind::Message, "", &mut frames);
        }
        self.close(&mut frames);
        let output = std::mem::take(&mut self.output);
        let response = self.head.object("completed", output, Some(finish));
        frames.push(self.event("response.completed", json!({"response": response})));
        frames
    }

    pub(super) fn fail(&mut self, error: &ApiError) -> Vec<Frame> {
        let error = error.body(Dialect::OpenAi)["error"].take();
        let mut response = self
            .head
            .object("failed", std::mem::take(&mut self.output), None);
        response["error"] = error;
        vec![self.event("response.failed", json!({"response": response}))]
    }

    fn write(&mut self, kind: Kind, text: &str, frames: &mut Vec<Frame>) {
        if self.open.as_ref().is_none_or(|open| open.kind != kind) {
            self.close(frames);
            self.start(kind, frames);
        }
        let Some(open) = &mut self.open else { return };
        open.text.push_str(text);
        if text.is_empty() {
            return;
        }
        let (id, index) = (open.id.clone(), self.output.len());
        frames.push(match kind {
            Kind::Reasoning => self.event(
                "response.reasoning_summary_text.delta",
                json!({"item_id": id, "output_index": index, "summary_index": 0, "delta": text}),
            ),
            Kind::Message => self.event(
                "response.output_text.delta",
                json!({
                    "item_id": id, "output_index": index, "content_index": 0, "delta": text,
                    "logprobs": [],
                }),
            ),
        });
    }

    fn start(&mut self, kind: Kind, frames: &mut Vec<Frame>) {
        let index = self.output.len();
        let id = match kind {
            Kind::Reasoning => ids::hex24("rs_"),
            Kind::Message => ids::hex24("msg_"),
        };
        let item = match kind {
            Kind::Reasoning => json!({"id": id, "type": "reasoning", "summary": []}),
            Kind::Message => message_item(&id, "in_progress", None),
        };
        frames.push(self.event(
            "response.output_item.added",
            json!({"output_index": index, "item": item}),
        ));
        if kind == Kind::Message {
            frames.push(self.event(
                "response.content_part.added",
                json!({"item_id": id, "output_index": index, "content_index": 0, "part": text_part("")}),
            ));
        }
        self.open = Some(Open {
            kind,
            id,
            text: String::new(),
        });
    }

    fn close(&mut self, frames: &mut Vec<Frame>) {
        let Some(Open { kind, id, text }) = self.open.take() else {
            return;
        };
        let index = self.output.len();
        let item = match kind {
            Kind::Reasoning => {
                frames.push(self.event(
                    "response.reasoning_summary_text.done",
                    json!({"item_id": id, "output_index": index, "summary_index": 0, "text": text}),
                ));
                reasoning_item(&id, &text)
            }
            Kind::Message => {
                self.has_message = true;
                frames.push(self.event(
                    "response.output_text.done",
                    json!({
                        "item_id": id, "output_index": index, "content_index": 0, "text": text,
                        "logprobs": [],
                    }),
                ));
                frames.push(self.event(
                    "response.content_part.done",
                    json!({
                        "item_id": id, "output_index": index, "content_index": 0,
                        "part": text_part(&text),
                    }),
                ));
                message_item(&id, "completed", Some(&text))
            }
        };
        self.done(item, frames);
    }

    fn call(&mut self, call: ToolCall, frames: &mut Vec<Frame>) {
        let index = self.output.len();
        let arguments = Value::Object(call.function.arguments).to_string();
        let mut call = Call {
            item: ids::hex24("fc_"),
            id: call.id,
            name: call.function.name,
            arguments: String::new(),
        };
        let mut item = call_item(&call);
        item["status"] = "in_progress".into();
        frames.push(self.event(
            "response.output_item.added",
            json!({"output_index": index, "item": item}),
        ));
        frames.push(self.event(
            "response.function_call_arguments.delta",
            json!({"item_id": call.item, "output_index": index, "delta": arguments}),
        ));
        frames.push(self.event(
            "response.function_call_arguments.done",
            json!({
                "item_id": call.item, "output_index": index, "name": call.name,
                "arguments": arguments,
            }),
        ));
        call.arguments = arguments;
        self.done(call_item(&call), frames);
    }

    fn done(&mut self, item: Value, frames: &mut Vec<Frame>) {
        let index = self.output.len();
        frames.push(self.event(
            "response.output_item.done",
            json!({"output_index": index, "item": item}),
        ));
        self.output.push(item);
    }

    fn event(&mut self, name: &str, mut data: Value) -> Frame {
        data["type"] = name.into();
        data["sequence_number"] = self.sequence.into();
        self.sequence += 1;
        Frame::event(name, &data)
    }
}

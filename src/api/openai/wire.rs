//! Parts of answers that the routes share.

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::ollama::wire::{Logprob, reason};
use crate::api::verbs::Finish;
use crate::engine::StopReason;
use crate::prompt::ToolCall;

pub(super) const FINGERPRINT: &str = "fp_ollama";

/// Tokens in and out.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Usage {
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
    pub total_tokens: usize,
}

impl From<&Finish> for Usage {
    fn from(finish: &Finish) -> Self {
        let (prompt, completion) = (finish.usage.prompt_tokens, finish.usage.completion_tokens);
        Usage {
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: prompt + completion,
        }
    }
}

/// `finish_reason`: calls count more than the end of a turn, less than the end of the room.
pub(super) fn finish_reason(stop: StopReason, has_calls: bool) -> &'static str {
    match (stop, has_calls) {
        (StopReason::Stop, true) => "tool_calls",
        (stop, _) => reason(stop),
    }
}

/// Calls with their arguments as text.
pub(super) fn tool_calls(calls: Vec<ToolCall>) -> Vec<Value> {
    let wire = |call: ToolCall| {
        json!({
            "id": call.id,
            "index": call.function.index,
            "type": "function",
            "function": {
                "name": call.function.name,
                "arguments": Value::Object(call.function.arguments).to_string(),
            },
        })
    };
    calls.into_iter().map(wire).collect()
}

/// `logprobs` of a choice; nothing where none were asked for.
pub(super) fn logprobs(tokens: Vec<crate::engine::TokenLogprob>) -> Option<Value> {
    if tokens.is_empty() {
        return None;
    }
    let content: Vec<Logprob> = tokens.into_iter().map(Logprob::from).collect();
    Some(json!({"content": content}))
}

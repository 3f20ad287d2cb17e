//! Finds calls of tools in what a model writes, as it streams.
//!
//! One parser serves all common formats: Hermes and Qwen (`<tool_call>{...}</tool_call>`), Llama 3
//! (`{"name": ..., "parameters": ...}`, perhaps behind `<|python_tag|>`), Mistral
//! (`[TOOL_CALLS][{...}]`, `[TOOL_CALLS]name[ARGS]{...}`). They differ in the text that announces
//! calls; behind it a call is the name of a declared tool and a JSON object.

use serde_json::{Map, Value};

use super::message::{FunctionCall, Tool, ToolCall};
use super::thinking::overlap;

/// Output buffered behind the tag may not grow beyond this; it then counts as content.
const MAX_BUFFER_BYTES: usize = 4 << 20;

/// What the parser makes of some output.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// Part of the answer.
    Content(String),
    /// Part of the thoughts before it.
    Thinking(String),
    /// A complete call; its id is empty until someone sets one.
    Call(ToolCall),
}

/// Streaming parser of tool calls.
#[derive(Clone, Debug)]
pub struct ToolParser {
    tags: Vec<String>,
    tools: Vec<KnownTool>,
    state: State,
    /// The tag that was found.
    tag: String,
    buffer: String,
    /// Nothing but spaces came before.
    at_start: bool,
    calls: usize,
}

#[derive(Clone, Debug)]
struct KnownTool {
    name: String,
    has_properties: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    BeforeTag,
    Calling,
    Done,
}

impl ToolParser {
    /// `tags`: texts that announce calls, none of them empty; a lone `{` or `[` counts only as the
    /// first thing the model writes. `tools`: those declared; others are never called.
    pub fn new(tags: Vec<String>, tools: &[Tool]) -> Self {
        let tools = tools.iter().map(|tool| KnownTool {
            name: tool.name().to_owned(),
            has_properties: tool.value()["function"]["parameters"]["properties"]
                .as_object()
                .is_some_and(|properties| !properties.is_empty()),
        });
        Self {
            tags: tags.into_iter().filter(|tag| !tag.is_empty()).collect(),
            tools: tools.filter(|tool| !tool.name.is_empty()).collect(),
            state: State::BeforeTag,
            tag: String::new(),
            buffer: String::new(),
            at_start: true,
            calls: 0,
        }
    }

    /// Texts that announce calls.
    pub fn tags(&self) -> &[String] {
        &self.tags
    }

    /// Takes the next piece of output and returns what is decided by it.
    pub fn push(&mut self, text: &str) -> Vec<Piece> {
        let mut out = Vec::new();
        self.buffer.push_str(text);
        if self.state == State::BeforeTag {
            self.look_for_tag(&mut out);
        }
        if self.state == State::Calling {
            while let Some(call) = self.next_call(false) {
                out.push(Piece::Call(call));
            }
            if self.closed() || self.buffer.len() > MAX_BUFFER_BYTES {
                self.state = State::Done;
                // What is left of the list around the calls is no content.
                if self.calls > 0 {
                    self.drop_closing();
                }
            }
        }
        if self.state == State::Done {
            self.flush(&mut out);
        }
        out
    }

    /// Returns what was held back, once the output has ended.
    pub fn finish(&mut self) -> Vec<Piece> {
        let mut out = Vec::new();
        if self.state == State::Calling {
            while let Some(call) = self.next_call(true) {
                out.push(Piece::Call(call));
            }
            // Behind a tag of its own, what is no call is noise; behind a bracket it is an answer.
            if self.calls > 0 || !is_bracket(&self.tag) {
                self.buffer.clear();
            }
        }
        self.state = State::Done;
        self.flush(&mut out);
        out
    }

    fn flush(&mut self, out: &mut Vec<Piece>) {
        if !self.buffer.is_empty() {
            out.push(Piece::Content(std::mem::take(&mut self.buffer)));
        }
    }

    fn look_for_tag(&mut self, out: &mut Vec<Piece>) {
        let blank_before = |at: usize| self.at_start && self.buffer[..at].trim().is_empty();
        let found = self
            .tags
            .iter()
            .filter_map(|tag| Some((self.buffer.find(tag.as_str())?, tag)))
            .filter(|(at, tag)| !is_bracket(tag) || blank_before(*at))
            .min_by_key(|(at, tag)| (*at, usize::MAX - tag.len()));
        if let Some((at, tag)) = found {
            self.tag = tag.clone();
            // A bracket may turn out to open an answer, which then keeps the spaces before it.
            if !is_bracket(&self.tag) {
                let before: String = self.buffer.drain(..at).collect();
                if !before.trim().is_empty() {
                    out.push(Piece::Content(before));
                }
                self.buffer.drain(..self.tag.len());
            }
            self.state = State::Calling;
            return;
        }
        let held = self
            .tags
            .iter()
            .filter(|tag| !is_bracket(tag))
            .map(|tag| overlap(&self.buffer, tag))
            .max()
            .unwrap_or(0);
        let ready = self.buffer.len() - held;
        // Leading spaces wait, because they vanish before a call.
        if self.at_start && self.buffer[..ready].trim().is_empty() {
            return;
        }
        self.at_start = false;
        if ready > 0 {
            out.push(Piece::Content(self.buffer.drain(..ready).collect()));
        }
        // Only a bracket could still announce a call, and it came too late.
        if self.tags.iter().all(|tag| is_bracket(tag)) {
            self.state = State::Done;
        }
    }

    /// Whether a bracket that announced calls is balanced again.
    fn closed(&self) -> bool {
        let (open, close) = match self.tag.as_str() {
            "{" => ('{', '}'),
            "[" => ('[', ']'),
            _ => return false,
        };
        if self.calls > 0 && open == '{' {
            // Another object may follow, which Llama 3 puts behind a `;`.
            let rest = between_calls(&self.buffer);
            return !(rest.is_empty() || rest.starts_with(open));
        }
        if self.calls > 0 {
            return self.buffer.trim_start().starts_with(close);
        }
        balanced(&self.buffer, open, close).is_some()
    }

    fn drop_closing(&mut self) {
        let rest = self.buffer.trim_start();
        let rest = rest.strip_prefix(']').unwrap_or(rest);
        self.buffer = rest.trim_start().to_owned();
    }

    /// Takes the next complete call out of the buffer.
    fn next_call(&mut self, ended: bool) -> Option<ToolCall> {
        let more = self.calls == 0 || between_calls(&self.buffer).starts_with('{');
        if self.tag == "{" && !more {
            return None;
        }
        let (tool, start) = self.find_name(ended)?;
        let after_name = start + tool.name.len();
        let found = self.find_object(after_name);
        let (arguments, end) = match found {
            Some((object, end)) => (arguments(&object, &tool.name), end),
            // A tool without parameters may be named alone.
            None if ended && !tool.has_properties => (Map::new(), after_name),
            None => return None,
        };
        let index = self.calls;
        self.calls += 1;
        self.buffer.drain(..end);
        Some(ToolCall {
            id: String::new(),
            function: FunctionCall {
                index,
                name: tool.name,
                arguments,
            },
        })
    }

    /// The earliest name of a tool, the longest where several begin.
    fn find_name(&self, ended: bool) -> Option<(KnownTool, usize)> {
        let waits = |tool: &KnownTool| {
            let held = overlap(&self.buffer, &tool.name);
            held > 0 && held < tool.name.len()
        };
        if !ended && self.tools.iter().any(waits) {
            return None;
        }
        let found = self
            .tools
            .iter()
            .filter_map(|tool| Some((self.buffer.find(&tool.name)?, tool)));
        let (at, tool) = found.min_by_key(|(at, tool)| (*at, usize::MAX - tool.name.len()))?;
        Some((tool.clone(), at))
    }

    /// The first complete object that ends behind `after`, and where it ends.
    fn find_object(&self, after: usize) -> Option<(Map<String, Value>, usize)> {
        let mut from = 0;
        while let Some(open) = self.buffer[from..].find('{') {
            let start = from + open;
            // Not closed yet: an object further inside is only a part of it.
            let end = start + balanced(&self.buffer[start..], '{', '}')?;
            if end >= after
                && let Ok(Value::Object(object)) = serde_json::from_str(&self.buffer[start..end])
            {
                return Some((object, end));
            }
            from = end;
        }
        None
    }
}

fn between_calls(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, ';' | ','))
}

fn is_bracket(tag: &str) -> bool {
    matches!(tag, "{" | "[")
}

/// Where the bracket that opens first is closed, minding JSON strings.
fn balanced(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            _ if c == open => depth += 1,
            _ if c == close => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + c.len_utf8());
                }
            }
            _ => {}
        }
    }
    None
}

/// The arguments in the object of a call.
fn arguments(object: &Map<String, Value>, tool: &str) -> Map<String, Value> {
    if let Some(found) = search(object, tool) {
        return found;
    }
    // A call that names its tool and nothing else has no arguments.
    match object.get("name").and_then(Value::as_str) {
        Some(name) if name == tool => Map::new(),
        _ => object.clone(),
    }
}

fn search(object: &Map<String, Value>, tool: &str) -> Option<Map<String, Value>> {
    for key in ["arguments", "parameters", tool] {
        match object.get(key) {
            Some(Value::Object(found)) => return Some(found.clone()),
            Some(Value::String(text)) => {
                if let Ok(Value::Object(found)) = serde_json::from_str(text) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    object.values().find_map(|value| search_value(value, tool))
}

fn search_value(value: &Value, tool: &str) -> Option<Map<String, Value>> {
    match value {
        Value::Object(object) => search(object, tool),
        Value::Array(items) => items.iter().find_map(|item| search_value(item, tool)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

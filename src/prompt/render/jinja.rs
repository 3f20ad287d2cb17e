//! Conversations through a Jinja template, in the shapes such templates expect.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::super::jinja::{JinjaError, JinjaTemplate};
use super::super::message::{FunctionCall, Message, Think, Tool, ToolCall};
use super::{Capability, PromptParts};

/// A template and what is known of its habits.
#[derive(Clone, Debug)]
pub(super) struct ChatTemplate {
    template: JinjaTemplate,
    bos_text: String,
    eos_text: String,
    /// It wants the arguments of calls as JSON text, not as an object.
    arguments_as_text: bool,
    pub(super) capabilities: Vec<Capability>,
    /// It shows both calls of tools and their results.
    pub(super) has_tool_round_trip: bool,
}

/// Changes to a conversation that make more templates accept it.
#[derive(Clone, Copy, Default)]
struct Bend {
    /// Ids of calls cut to nine letters or digits, which Mistral's templates insist on.
    short_ids: bool,
    /// System texts in front of the first user message, where no system role exists.
    system_in_user: bool,
    /// Neighbours of one role as one message, where roles must alternate.
    joined: bool,
    /// A turn for each call, where a turn can have one only, as in Llama 3's templates.
    single_calls: bool,
}

impl ChatTemplate {
    pub(super) fn new(template: JinjaTemplate, parts: &PromptParts) -> Self {
        let source = template.source();
        let mentions = |words: &[&str]| words.iter().any(|word| source.contains(word));
        let splits = mentions(&["content.split('</think>')", "content.split(\"</think>\")"]);
        let thinks = (mentions(&["<think>"]) && mentions(&["</think>"]))
            || (splits && !mentions(&["reasoning_content"]));
        let mut capabilities = Vec::new();
        if mentions(&["tools", "tool_call"]) {
            capabilities.push(Capability::Tools);
        }
        if thinks {
            capabilities.push(Capability::Thinking);
        }
        let has_tool_round_trip = mentions(&["tool_calls", "assistant_tool_call"])
            && mentions(&[
                "'tool'",
                "\"tool\"",
                "tool_response",
                "ipython",
                "tool_results",
            ]);
        let mut chat = Self {
            bos_text: parts.bos_text.clone(),
            eos_text: parts.eos_text.clone(),
            arguments_as_text: false,
            capabilities,
            has_tool_round_trip,
            template,
        };
        chat.arguments_as_text = chat.wants_arguments_as_text();
        chat
    }

    /// What announces calls in the answers.
    pub(super) fn tool_call_tags(&self) -> Vec<String> {
        const KNOWN: [(&str, &[&str]); 7] = [
            // Some models forget the marker.
            ("<tool_call>", &["<tool_call>", "{"]),
            // Markers that are control tokens may be absent from the text of an answer.
            ("[TOOL_CALLS]", &["[TOOL_CALLS]", "["]),
            ("<|tool_call|>", &["<|tool_call|>", "["]),
            ("<function=", &["<function=", "{"]),
            ("<|python_tag|>", &["<|python_tag|>", "{"]),
            ("ipython", &["<|python_tag|>", "{"]),
            ("<｜tool▁calls▁begin｜>", &["<｜tool▁calls▁begin｜>"]),
        ];
        let source = self.template.source();
        let known = KNOWN.iter().find(|(marker, _)| source.contains(marker));
        let tags = known.map_or(&["{", "["][..], |(_, tags)| tags);
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    /// Renders messages and the beginning of an answer. A last assistant message is continued.
    pub(super) fn render(
        &self,
        messages: &[Message],
        tools: &[Tool],
        think: Option<Think>,
    ) -> Result<String, JinjaError> {
        let (messages, prefill) = match messages.split_last() {
            Some((last, rest))
                if last.role == "assistant" && last.tool_calls.is_empty() && !rest.is_empty() =>
            {
                (rest, last.content.as_str())
            }
            _ => (messages, ""),
        };
        let render = |bend| self.render_bent(messages, tools, think, bend);
        let mut result = render(Bend::default());
        for bend in bends(messages) {
            // Only the template's own objections can be met this way.
            if !matches!(result, Err(JinjaError::Raised(_))) {
                break;
            }
            if let Ok(text) = render(bend) {
                result = Ok(text);
            }
        }
        Ok(result? + prefill)
    }

    fn render_bent(
        &self,
        messages: &[Message],
        tools: &[Tool],
        think: Option<Think>,
        bend: Bend,
    ) -> Result<String, JinjaError> {
        let messages = bent(messages, bend);
        let messages = shapes(&messages, self.arguments_as_text, bend);
        let mut variables = Map::new();
        variables.insert("messages".into(), Value::Array(messages));
        if !tools.is_empty() {
            let tools = tools.iter().map(|tool| tool.value().clone());
            variables.insert("tools".into(), tools.collect());
        }
        variables.insert("add_generation_prompt".into(), true.into());
        variables.insert("bos_token".into(), self.bos_text.as_str().into());
        variables.insert("eos_token".into(), self.eos_text.as_str().into());
        if let Some(think) = think {
            variables.insert("enable_thinking".into(), think.is_on().into());
            if !think.level().is_empty() {
                variables.insert("reasoning_effort".into(), think.level().into());
            }
        }
        self.template.render(&variables)
    }

    /// Renders a call both ways and looks whether its arguments come out as JSON.
    fn wants_arguments_as_text(&self) -> bool {
        if !self.has_tool_round_trip {
            return false;
        }
        let mut call = Message::new("assistant", "");
        call.tool_calls.push(ToolCall {
            id: "call00000".to_owned(),
            function: FunctionCall {
                name: "probe".to_owned(),
                arguments: [("needle".to_owned(), Value::from("x"))]
                    .into_iter()
                    .collect(),
                ..FunctionCall::default()
            },
        });
        let result = Message {
            tool_call_id: "call00000".to_owned(),
            ..Message::new("tool", "y")
        };
        let messages = [Message::new("user", "z"), call, result];
        let shows = |as_text: bool| {
            let probe = Self {
                arguments_as_text: as_text,
                ..self.clone()
            };
            let text = probe.render(&messages, &[], None).unwrap_or_default();
            text.contains("\"needle\":")
        };
        !shows(false) && shows(true)
    }
}

fn bends(messages: &[Message]) -> impl Iterator<Item = Bend> {
    let calls = messages
        .iter()
        .any(|message| !message.tool_calls.is_empty());
    let (systems, others): (Vec<&Message>, Vec<&Message>) = messages
        .iter()
        .partition(|message| message.role == "system");
    let neighbours = others.windows(2).any(|pair| pair[0].goes_on_with(pair[1]));
    let (system, neighbours) = (!systems.is_empty(), neighbours || systems.len() > 1);
    let several = messages.iter().any(|message| message.tool_calls.len() > 1);
    let all = (1..16).map(|bits| Bend {
        short_ids: bits & 1 > 0,
        system_in_user: bits & 2 > 0,
        joined: bits & 4 > 0,
        single_calls: bits & 8 > 0,
    });
    all.filter(move |bend| {
        (!bend.short_ids || calls)
            && (!bend.system_in_user || system)
            && (!bend.joined || neighbours)
            && (!bend.single_calls || several)
    })
}

/// The messages, taken apart, moved and joined as `bend` has it.
fn bent(messages: &[Message], bend: Bend) -> Cow<'_, [Message]> {
    let mut messages = Cow::Borrowed(messages);
    if bend.single_calls {
        messages = Cow::Owned(one_call_each(&messages));
    }
    if bend.system_in_user || bend.joined {
        messages = Cow::Owned(merged(&messages, bend));
    }
    messages
}

/// A turn for each call, and behind it the result that answers it: by its id, else in their order.
fn one_call_each(messages: &[Message]) -> Vec<Message> {
    let mut out = Vec::with_capacity(messages.len());
    let mut rest = messages;
    while let Some((turn, after)) = rest.split_first() {
        rest = after;
        if turn.tool_calls.len() < 2 {
            out.push(turn.clone());
            continue;
        }
        let count = rest.iter().take_while(|next| next.role == "tool").count();
        let (results, after) = rest.split_at(count);
        rest = after;
        let mut results: Vec<&Message> = results.iter().collect();
        for (at, call) in turn.tool_calls.iter().enumerate() {
            let mut one = match at {
                0 => turn.clone(),
                _ => Message::new(turn.role.as_str(), ""),
            };
            one.tool_calls = vec![call.clone()];
            out.push(one);
            let by_id = |result: &&Message| result.tool_call_id == call.id;
            let free = |result: &&Message| result.tool_call_id.is_empty();
            let own = results.iter().position(by_id);
            if let Some(own) = own.or_else(|| results.iter().position(free)) {
                out.push(results.remove(own).clone());
            }
        }
        out.extend(results.into_iter().cloned());
    }
    out
}

fn merged(messages: &[Message], bend: Bend) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::with_capacity(messages.len());
    let mut system = Vec::new();
    for message in messages {
        if bend.system_in_user && message.role == "system" {
            system.push(message.content.clone());
            continue;
        }
        let mut message = message.clone();
        if message.role == "user" && !system.is_empty() {
            system.push(message.content);
            message.content = std::mem::take(&mut system).join("\n\n");
        }
        match out.last_mut() {
            Some(last) if bend.joined && last.goes_on_with(&message) => last.append(&message),
            _ => out.push(message),
        }
    }
    out
}

/// The messages as objects. Calls without an id get one, and results without one answer the calls
/// in their order.
fn shapes(messages: &[Message], arguments_as_text: bool, bend: Bend) -> Vec<Value> {
    let mut unanswered: VecDeque<(String, String)> = VecDeque::new();
    let mut calls = 0;
    let mut out = Vec::with_capacity(messages.len());
    for message in messages {
        let mut shape = Map::new();
        shape.insert("role".into(), message.role.as_str().into());
        shape.insert("content".into(), message.content.as_str().into());
        if !message.thinking.is_empty() {
            shape.insert("reasoning_content".into(), message.thinking.as_str().into());
            shape.insert("thinking".into(), message.thinking.as_str().into());
        }
        if !message.tool_calls.is_empty() {
            let mut shapes = Vec::new();
            for call in &message.tool_calls {
                let id = if call.id.is_empty() {
                    format!("call{calls:05}")
                } else {
                    call.id.clone()
                };
                calls += 1;
                unanswered.push_back((id.clone(), call.function.name.clone()));
                shapes.push(call_shape(call, &shown_id(&id, bend), arguments_as_text));
            }
            shape.insert("tool_calls".into(), Value::Array(shapes));
        }
        if message.role == "tool" {
            let (id, name) = answered(message, &mut unanswered);
            shape.insert("tool_call_id".into(), shown_id(&id, bend).into());
            if !name.is_empty() {
                shape.insert("name".into(), name.into());
            }
        }
        out.push(Value::Object(shape));
    }
    out
}

fn call_shape(call: &ToolCall, id: &str, arguments_as_text: bool) -> Value {
    let arguments = Value::Object(call.function.arguments.clone());
    let arguments = if arguments_as_text {
        Value::String(arguments.to_string())
    } else {
        arguments
    };
    json!({
        "id": id,
        "type": "function",
        "function": {"name": call.function.name, "arguments": arguments},
    })
}

/// Id and tool of the call that a result belongs to.
fn answered(message: &Message, unanswered: &mut VecDeque<(String, String)>) -> (String, String) {
    let fits = |(id, name): &(String, String)| match message.tool_call_id.as_str() {
        "" => message.tool_name.is_empty() || *name == message.tool_name,
        own => id == own,
    };
    let found = unanswered.iter().position(fits);
    let (id, name) = found
        .and_then(|at| unanswered.remove(at))
        .unwrap_or_default();
    let or = |own: &str, other: String| {
        if own.is_empty() {
            other
        } else {
            own.to_owned()
        }
    };
    (or(&message.tool_call_id, id), or(&message.tool_name, name))
}

fn shown_id(id: &str, bend: Bend) -> String {
    if !bend.short_ids {
        return id.to_owned();
    }
    let letters: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let last = &letters[letters.len().saturating_sub(9)..];
    format!("{:0>9}", last.iter().collect::<String>())
}

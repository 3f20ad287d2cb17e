//! Conversations through a Go template.

use super::super::go_data;
use super::super::go_template::{GoTemplate, GoTemplateError, Print, Value};
use super::super::message::{Message, Think, Tool};
use super::super::thinking::ThinkingTags;
use super::Capability;

/// What the names in a template tell.
pub(super) fn capabilities(template: &GoTemplate) -> Vec<Capability> {
    let found = [
        (template.mentions("tools"), Capability::Tools),
        (template.mentions("suffix"), Capability::Insert),
        (template.thinking_tags().is_some(), Capability::Thinking),
    ];
    let found = found.into_iter().filter(|(has, _)| *has);
    found.map(|(_, capability)| capability).collect()
}

pub(super) fn thinking_tags(template: &GoTemplate) -> Option<ThinkingTags> {
    let (open, close) = template.thinking_tags()?;
    Some(ThinkingTags { open, close })
}

/// What announces calls in the answers.
pub(super) fn tool_call_tags(template: &GoTemplate) -> Vec<String> {
    const MISTRAL: &str = "[TOOL_CALLS]";
    match template.tool_call_tag() {
        // The marker is a control token, which may be absent from the text of an answer.
        Some(tag) if tag.starts_with(MISTRAL) => vec![MISTRAL.to_owned(), "[".to_owned()],
        Some(tag) => vec![tag],
        None => vec!["{".to_owned()],
    }
}

/// Renders messages: at once where the template knows `.Messages`, else turn by turn.
pub(super) fn render(
    template: &GoTemplate,
    messages: &[Message],
    tools: &[Tool],
    think: Option<Think>,
) -> Result<String, GoTemplateError> {
    let (system, messages) = collate(messages);
    if !template.mentions("messages") {
        return render_turns(template, &messages, think);
    }
    let mut values = think_values(think);
    values.extend([
        ("System", Value::text(system)),
        ("Messages", go_data::messages(&messages)),
        ("Tools", go_data::tools(tools)),
        ("Response", Value::text("")),
    ]);
    template.execute(&root(values))
}

/// Renders a text with a gap: prompt and suffix only, without system text and messages.
pub(super) fn render_suffix(
    template: &GoTemplate,
    prompt: &str,
    suffix: &str,
    think: Option<Think>,
) -> Result<String, GoTemplateError> {
    let mut values = think_values(think);
    values.extend([
        ("Prompt", Value::text(prompt)),
        ("Suffix", Value::text(suffix)),
        ("Response", Value::text("")),
    ]);
    template.execute(&root(values))
}

fn think_values(think: Option<Think>) -> Vec<(&'static str, Value)> {
    let level = match think {
        // Templates with levels know no plain yes.
        Some(Think::On) => "medium",
        Some(think) => think.level(),
        None => "",
    };
    vec![
        ("Think", Value::Bool(think.is_some_and(Think::is_on))),
        ("ThinkLevel", Value::text(level)),
        ("IsThinkSet", Value::Bool(think.is_some())),
    ]
}

fn root(values: Vec<(&'static str, Value)>) -> Value {
    let values = values.into_iter();
    Value::map(
        values.map(|(name, value)| (name.to_owned(), value)),
        Print::Go,
    )
}

/// All system texts, and the messages with neighbours of one role joined by a blank line; results
/// of tools stay apart.
fn collate(messages: &[Message]) -> (String, Vec<Message>) {
    let mut systems = Vec::new();
    let mut joined: Vec<Message> = Vec::new();
    for message in messages {
        if message.role == "system" {
            systems.push(message.content.as_str());
        }
        match joined.last_mut() {
            Some(last) if last.goes_on_with(message) => last.append(message),
            _ => joined.push(message.clone()),
        }
    }
    (systems.join("\n\n"), joined)
}

#[derive(Default)]
struct Turn<'m> {
    system: &'m str,
    prompt: &'m str,
    response: &'m str,
}

impl Turn<'_> {
    fn values(&self, think: Option<Think>) -> Value {
        let mut values = think_values(think);
        values.extend([
            ("System", Value::text(self.system)),
            ("Prompt", Value::text(self.prompt)),
            ("Response", Value::text(self.response)),
        ]);
        root(values)
    }
}

/// A template without `.Messages` is executed for every turn; of the last one only what comes up
/// to the response, for the model to go on with.
fn render_turns(
    template: &GoTemplate,
    messages: &[Message],
    think: Option<Think>,
) -> Result<String, GoTemplateError> {
    let mut out = String::new();
    let mut turn = Turn::default();
    for message in messages {
        let ends_turn = match message.role.as_str() {
            "system" => !turn.prompt.is_empty() || !turn.response.is_empty(),
            "user" => !turn.response.is_empty(),
            _ => false,
        };
        if ends_turn {
            out.push_str(&template.execute(&turn.values(think))?);
            turn = Turn::default();
        }
        match message.role.as_str() {
            "system" => turn.system = &message.content,
            "user" => turn.prompt = &message.content,
            "assistant" => turn.response = &message.content,
            _ => {}
        }
    }
    out.push_str(&template.execute_until_response(&turn.values(think))?);
    Ok(out)
}

//! From a conversation to the text a model reads: which template, which messages, which markers.

mod go;
mod jinja;

use super::go_template::{GoTemplate, GoTemplateError};
use super::jinja::{JinjaError, JinjaTemplate};
use super::message::{Message, Think, Tool};
use super::output::OutputParser;
use super::thinking::{ThinkingTags, without_thinking};

/// Tokens an image is counted as.
const IMAGE_TOKENS: usize = 768;

/// What chats use when a model has no template at all.
const CHATML: &str = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}\
                      <|im_start|>assistant\n";

/// Why a prompt cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// A Go template is broken or does not fit the messages.
    #[error(transparent)]
    GoTemplate(#[from] GoTemplateError),
    /// A Jinja template is broken or refuses the messages.
    #[error(transparent)]
    Jinja(#[from] JinjaError),
    /// There is a suffix, and the template has no place for it.
    #[error("the template has no place for a suffix")]
    NoSuffix,
    /// There is nothing to render.
    #[error("there are no messages")]
    NoMessages,
}

/// What a template enables, in the words of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Capability {
    /// Calls of tools.
    Tools,
    /// Text between a prompt and a suffix.
    Insert,
    /// Thoughts apart from the answer.
    Thinking,
}

impl Capability {
    /// The word in `capabilities`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Insert => "insert",
            Self::Thinking => "thinking",
        }
    }
}

/// Everything about a model that shapes its prompts.
#[derive(Clone, Debug, Default)]
pub struct PromptParts {
    /// Go template of the Modelfile.
    pub template: Option<String>,
    /// `tokenizer.chat_template` of the GGUF file.
    pub jinja: Option<String>,
    /// SYSTEM of the Modelfile; may be empty.
    pub system: String,
    /// MESSAGE lines of the Modelfile.
    pub messages: Vec<Message>,
    /// Text of the token that begins a sequence; may be empty.
    pub bos_text: String,
    /// Text of the token that ends one; may be empty.
    pub eos_text: String,
    /// Whether the tokenizer puts the first of them in front by itself.
    pub adds_bos: bool,
    /// Family of the model, such as `qwen3`.
    pub family: String,
    /// Name of the model without host, namespace and tag, such as `deepseek-r1`.
    pub model: String,
    /// `OLLAMA_GO_TEMPLATE`: whether the Go template is preferred; `None` decides by abilities.
    pub go_template: Option<bool>,
}

/// How long a prompt may be.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    /// Counts the tokens of a text as the model will.
    pub tokens: &'a dyn Fn(&str) -> usize,
    /// Tokens the context holds.
    pub context_tokens: usize,
    /// Whether old messages may be dropped; without it nothing is counted.
    pub truncate: bool,
}

/// A chat to be rendered.
#[derive(Clone, Copy)]
pub struct ChatPrompt<'a> {
    /// Messages of the request, at least one.
    pub messages: &'a [Message],
    /// Tools the model may call.
    pub tools: &'a [Tool],
    /// What the request says about thinking; `None` thinks where the model can.
    pub think: Option<Think>,
    /// How long it may be.
    pub budget: Budget<'a>,
}

/// A completion to be rendered.
#[derive(Clone, Copy)]
pub struct GeneratePrompt<'a> {
    /// The user's text.
    pub prompt: &'a str,
    /// Text that comes after what the model writes; empty for none.
    pub suffix: &'a str,
    /// Replaces the model's SYSTEM; empty for none.
    pub system: &'a str,
    /// Go template to use instead of the model's; empty for none.
    pub template: &'a str,
    /// Encoded images.
    pub images: &'a [Vec<u8>],
    /// What the request says about thinking; `None` thinks where the model can.
    pub think: Option<Think>,
    /// An earlier answer's context comes in front, so that the MESSAGE lines are left out.
    pub has_context: bool,
    /// How long it may be.
    pub budget: Budget<'a>,
}

/// The text a model reads, and what to look for in what it writes.
#[derive(Clone, Debug)]
pub struct Rendered {
    /// To be tokenised with markers recognised, and with the automatic BOS if there is one.
    pub text: String,
    /// Images in the order of their `[img-N]` markers.
    pub images: Vec<Vec<u8>>,
    /// Reads the answer.
    pub parser: OutputParser,
}

/// A model's templates and standing messages, read once.
#[derive(Clone, Debug)]
pub struct ModelPrompt {
    parts: PromptParts,
    go: Option<GoTemplate>,
    jinja: Option<jinja::ChatTemplate>,
    chatml: GoTemplate,
    way: Way,
}

/// Which template chats go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Go,
    Jinja,
    ChatMl,
}

impl ModelPrompt {
    /// Reads the templates. A broken one is left out where the model has the other kind.
    ///
    /// # Errors
    /// The only template, or the one that `go_template` asks for, is broken.
    pub fn new(parts: PromptParts) -> Result<Self, PromptError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let go = given(&parts.template).map(|text| GoTemplate::parse(&text));
        let jinja = given(&parts.jinja).map(|text| {
            let template = JinjaTemplate::parse(&text)?;
            Ok::<_, JinjaError>(jinja::ChatTemplate::new(template, &parts))
        });
        let (go, jinja) = match (go, jinja) {
            (Some(Err(error)), Some(Ok(jinja))) if parts.go_template != Some(true) => {
                tracing::warn!(%error, "the Go template is broken, the model's own is used");
                (None, Some(jinja))
            }
            (Some(Ok(go)), Some(Err(error))) if parts.go_template != Some(false) => {
                tracing::warn!(%error, "the model's own template is broken, the Go template is used");
                (Some(go), None)
            }
            (go, jinja) => (go.transpose()?, jinja.transpose()?),
        };
        let way = choose(go.as_ref(), jinja.as_ref(), parts.go_template);
        Ok(Self {
            chatml: GoTemplate::parse(CHATML)?,
            parts,
            go,
            jinja,
            way,
        })
    }

    /// What the template in use enables. A suffix always goes through the Go template.
    pub fn capabilities(&self) -> Vec<Capability> {
        let mut found = match self.way {
            Way::Go => self.go.as_ref().map(go::capabilities),
            Way::Jinja => self.jinja.as_ref().map(|jinja| jinja.capabilities.clone()),
            Way::ChatMl => None,
        }
        .unwrap_or_default();
        let inserts = self.go.as_ref().is_some_and(|go| go.mentions("suffix"));
        if inserts && !found.contains(&Capability::Insert) {
            found.push(Capability::Insert);
        }
        found
    }

    /// Whether chats go through the Jinja template of the GGUF file.
    pub fn uses_jinja(&self) -> bool {
        self.way == Way::Jinja
    }

    /// Whether the template in use enables this.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities().contains(&capability)
    }

    /// Renders a chat: MESSAGE lines, then the request's messages, behind SYSTEM unless the
    /// request begins with a system message of its own. The oldest messages go where the budget
    /// asks for it; system messages and the last one always stay.
    ///
    /// # Errors
    /// There are no messages, or the template fails.
    pub fn render_chat(&self, chat: &ChatPrompt<'_>) -> Result<Rendered, PromptError> {
        let Some(first) = chat.messages.first() else {
            return Err(PromptError::NoMessages);
        };
        let mut messages = Vec::new();
        if first.role != "system" && !self.parts.system.is_empty() {
            messages.push(Message::new("system", self.parts.system.as_str()));
        }
        messages.extend(self.parts.messages.iter().chain(chat.messages).cloned());
        self.strip_thinking(&mut messages);
        self.render_messages(&messages, chat.tools, chat.think, chat.budget)
    }

    /// Renders a completion: through the same code as a chat, unless there is a suffix or a
    /// template in the request. A model without any template gets the bare prompt.
    ///
    /// # Errors
    /// There is a suffix without a place for it, or the template fails.
    pub fn render_generate(&self, request: &GeneratePrompt<'_>) -> Result<Rendered, PromptError> {
        let own_template = match request.template {
            "" => None,
            text => Some(GoTemplate::parse(text)?),
        };
        let think = self.think(request.think);
        if !request.suffix.is_empty() {
            let template = own_template.as_ref().or(self.go.as_ref());
            let template = template
                .filter(|template| template.mentions("suffix"))
                .ok_or(PromptError::NoSuffix)?;
            let text = go::render_suffix(template, request.prompt, request.suffix, think)?;
            return Ok(Rendered {
                text,
                images: Vec::new(),
                parser: OutputParser::plain(),
            });
        }
        let mut messages = Vec::new();
        let system = match request.system {
            "" => self.parts.system.as_str(),
            system => system,
        };
        if !system.is_empty() {
            messages.push(Message::new("system", system));
        }
        if !request.has_context {
            messages.extend(self.parts.messages.iter().cloned());
        }
        messages.push(Message {
            images: request.images.to_vec(),
            ..Message::new("user", request.prompt)
        });
        if let Some(template) = own_template {
            let (messages, images) = with_image_markers(&messages);
            let text = go::render(&template, &messages, &[], think)?;
            let tags = go::thinking_tags(&template);
            let parser = parser(&text, think, tags, Vec::new(), &[]);
            return Ok(Rendered {
                text,
                images,
                parser,
            });
        }
        if self.go.is_none() && self.jinja.is_none() {
            let last = messages.len() - 1;
            let (messages, images) = with_image_markers(&messages[last..]);
            return Ok(Rendered {
                text: messages
                    .into_iter()
                    .map(|message| message.content)
                    .collect(),
                images,
                parser: OutputParser::plain(),
            });
        }
        self.render_messages(&messages, &[], request.think, request.budget)
    }

    /// What a request means by not mentioning thinking.
    fn think(&self, asked: Option<Think>) -> Option<Think> {
        asked.or_else(|| self.can(Capability::Thinking).then_some(Think::On))
    }

    /// Thoughts of earlier answers only take room in models that were trained without them.
    fn strip_thinking(&self, messages: &mut [Message]) {
        let concerned = self.parts.family == "qwen3" || self.parts.model == "deepseek-r1";
        let last_user = messages.iter().rposition(|message| message.role == "user");
        let earlier = &mut messages[..last_user.filter(|_| concerned).unwrap_or(0)];
        for message in earlier {
            if message.role == "assistant" {
                message.content = without_thinking(&message.content);
            }
        }
    }

    fn render_messages(
        &self,
        messages: &[Message],
        tools: &[Tool],
        think: Option<Think>,
        budget: Budget<'_>,
    ) -> Result<Rendered, PromptError> {
        let think = self.think(think);
        let render = |from: usize| -> Result<(String, Vec<Vec<u8>>), PromptError> {
            let (messages, images) = with_image_markers(&kept(messages, from));
            let text = match (self.way, &self.go, &self.jinja) {
                (Way::Go, Some(template), _) => go::render(template, &messages, tools, think)?,
                (Way::Jinja, _, Some(template)) => template.render(&messages, tools, think)?,
                _ => go::render(&self.chatml, &messages, tools, think)?,
            };
            Ok((self.without_double_bos(text), images))
        };
        let (text, images) = if budget.truncate {
            shorten(messages.len(), render, |text, images| {
                (budget.tokens)(text) + images * IMAGE_TOKENS <= budget.context_tokens
            })?
        } else {
            render(0)?
        };
        let (thinking, tags) = match (self.way, &self.go, &self.jinja) {
            (Way::Go, Some(template), _) => {
                (go::thinking_tags(template), go::tool_call_tags(template))
            }
            (Way::Jinja, _, Some(template)) => {
                let thinks = template.capabilities.contains(&Capability::Thinking);
                (
                    thinks.then(ThinkingTags::default),
                    template.tool_call_tags(),
                )
            }
            _ => (None, vec!["{".to_owned()]),
        };
        let parser = parser(&text, think, thinking, tags, tools);
        Ok(Rendered {
            text,
            images,
            parser,
        })
    }

    /// The tokenizer adds the token itself, and two of them derail some models.
    fn without_double_bos(&self, text: String) -> String {
        let bos = self.parts.bos_text.as_str();
        match text.strip_prefix(bos) {
            Some(rest) if self.parts.adds_bos && !bos.is_empty() => rest.to_owned(),
            _ => text,
        }
    }
}

fn choose(
    go: Option<&GoTemplate>,
    jinja: Option<&jinja::ChatTemplate>,
    go_template: Option<bool>,
) -> Way {
    let (go, jinja) = match (go, jinja, go_template) {
        (Some(_), _, Some(true)) | (Some(_), None, None) => return Way::Go,
        (_, Some(_), Some(false)) | (None, Some(_), _) => return Way::Jinja,
        (_, None, Some(false)) | (None, None, _) => return Way::ChatMl,
        (Some(go), Some(jinja), None) => (go, jinja),
    };
    let go_can = go::capabilities(go);
    let jinja_can = &jinja.capabilities;
    let go_round_trip = go.has_tool_round_trip();
    let jinja_knows_more =
        jinja_can.len() > go_can.len() && (!go_round_trip || jinja.has_tool_round_trip);
    let same = jinja_can.len() == go_can.len()
        && jinja_can
            .iter()
            .all(|capability| go_can.contains(capability));
    let only_jinja_returns_results =
        same && go_can.contains(&Capability::Tools) && jinja.has_tool_round_trip && !go_round_trip;
    if jinja_knows_more || only_jinja_returns_results {
        Way::Jinja
    } else {
        Way::Go
    }
}

fn parser(
    prompt: &str,
    think: Option<Think>,
    thinking: Option<ThinkingTags>,
    tags: Vec<String>,
    tools: &[Tool],
) -> OutputParser {
    let mut parser = OutputParser::plain();
    if let Some(thinking) = thinking.filter(|_| think.is_some_and(Think::is_on)) {
        let inside = prompt.trim_end().ends_with(&thinking.open);
        parser = parser.with_thinking(thinking, inside);
    }
    if !tools.is_empty() {
        parser = parser.with_tools(tags, tools);
    }
    parser
}

/// The messages from `from` on, behind all system messages before them.
fn kept(messages: &[Message], from: usize) -> Vec<Message> {
    let systems = messages[..from]
        .iter()
        .filter(|message| message.role == "system");
    systems.chain(&messages[from..]).cloned().collect()
}

/// Renders as many messages as fit: from the smallest start that does, at worst the last message
/// alone. Starts that the template refuses, such as a conversation that an assistant opens, are
/// passed over.
fn shorten<T, F>(
    count: usize,
    render: impl Fn(usize) -> Result<(String, T), PromptError>,
    fits: F,
) -> Result<(String, T), PromptError>
where
    T: AsRef<[Vec<u8>]>,
    F: Fn(&str, usize) -> bool,
{
    let last = count.saturating_sub(1);
    let first_from = |start: usize| {
        let mut from = start;
        loop {
            match render(from) {
                Ok(found) => return Ok((from, found)),
                Err(_) if from < last => from += 1,
                Err(error) => return Err(error),
            }
        }
    };
    let whole = render(0)?;
    if last == 0 || fits(&whole.0, whole.1.as_ref().len()) {
        return Ok(whole);
    }
    // What starts at `low` is too long; what starts behind `high` fits or is all that is left.
    let (mut low, mut high) = (0, last);
    let mut best = None;
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        match first_from(middle) {
            Ok((from, found)) if fits(&found.0, found.1.as_ref().len()) => {
                best = Some((from, found));
                high = middle;
            }
            _ => low = middle,
        }
    }
    match best {
        Some((_, found)) => Ok(found),
        None => render(last),
    }
}

/// Numbers the images of all messages: each `[img]` in a text becomes the next marker, images
/// without one are marked in front.
fn with_image_markers(messages: &[Message]) -> (Vec<Message>, Vec<Vec<u8>>) {
    let mut images = Vec::new();
    let mut marked = messages.to_vec();
    for message in &mut marked {
        let mut front = String::new();
        for image in &message.images {
            let marker = format!("[img-{}]", images.len());
            if message.content.contains("[img]") {
                message.content = message.content.replacen("[img]", &marker, 1);
            } else {
                front.push_str(&marker);
            }
            images.push(image.clone());
        }
        if !front.is_empty() {
            message.content.insert_str(0, &front);
        }
    }
    (marked, images)
}

#[cfg(test)]
mod tests;

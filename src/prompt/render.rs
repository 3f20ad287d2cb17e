//! From a conversation to the text a model reads: which template, which messages, which markers.

mod go;
mod jinja;

use super::go_template::{GoTemplate, GoTemplateError};
use super::jinja::{JinjaError, JinjaTemplate};
use super::message::{Message, Think, Tool};
use super::thinking::{ThinkingTags, without_thinking};
use super::tools::ToolParser;

/// Tokens an image is counted as.
const IMAGE_TOKENS: usize = 768;

/// What chats use when a model has no template at all.
const CHATML: &str = "{{ range .Messages }}<|im_start|>{{ .Role }}\n{{ .Content }}<|im_end|>\n{{ end }}\
                      <|im_start|>assistant\n";

/// Why a prompt cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// A template is broken or does not fit its data.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template has no place for what is asked, or says itself that it does not take it.
    #[error("{0}")]
    Refused(String),
}

/// Why a template of either kind fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A Go template.
    #[error(transparent)]
    Go(#[from] GoTemplateError),
    /// A Jinja template.
    #[error(transparent)]
    Jinja(#[from] JinjaError),
}

impl From<GoTemplateError> for PromptError {
    fn from(error: GoTemplateError) -> Self {
        Self::Template(TemplateError::Go(error))
    }
}

impl From<JinjaError> for PromptError {
    fn from(error: JinjaError) -> Self {
        match error {
            JinjaError::Raised(_) => Self::Refused(error.to_string()),
            _ => Self::Template(TemplateError::Jinja(error)),
        }
    }
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
pub struct PromptSource {
    /// Go template of the Modelfile.
    pub template: Option<String>,
    /// `tokenizer.chat_template` of the GGUF file.
    pub jinja: Option<String>,
    /// SYSTEM of the Modelfile.
    pub system: Option<String>,
    /// MESSAGE lines of the Modelfile.
    pub messages: Vec<Message>,
    /// Text of the token that begins a sequence; may be empty.
    pub bos_token: String,
    /// Text of the token that ends one; may be empty.
    pub eos_token: String,
    /// `general.architecture`, such as `qwen3`.
    pub architecture: String,
    /// `OLLAMA_GO_TEMPLATE`: whether the Go template is preferred; `None` decides by abilities.
    pub prefer_go_template: Option<bool>,
}

/// A chat to be rendered.
#[derive(Clone)]
pub struct ChatPrompt<'a> {
    /// Messages of the request, at least one.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    pub tools: &'a [Tool],
    /// What the request says about thinking; `None` thinks where the model can.
    pub think: Option<Think>,
    /// Counts the tokens of a text, with those that the tokenizer adds by itself: so an empty text
    /// has some exactly if there is an automatic BOS.
    pub tokens: &'a dyn Fn(&str) -> usize,
    /// Tokens the context holds.
    pub context_tokens: usize,
    /// Whether old messages may be dropped.
    pub truncate: bool,
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
    /// An earlier answer's context comes in front, so that the MESSAGE lines are left out.
    pub has_context: bool,
    /// The rest, as for a chat; its messages are not used.
    pub chat: &'a ChatPrompt<'a>,
}

/// The text a model reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// To be tokenised with markers recognised, and with the automatic BOS if there is one.
    pub text: String,
    /// Images in the order of their `[img-N]` markers.
    pub images: Vec<Vec<u8>>,
}

/// A model's templates and standing messages, read once.
#[derive(Clone, Debug)]
pub struct ModelPrompt {
    source: PromptSource,
    go: Option<GoTemplate>,
    jinja: Option<jinja::ChatTemplate>,
    chatml: GoTemplate,
    way: Way,
    strips_thinking: bool,
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
    /// The only template, or the one that `prefer_go_template` asks for, is broken.
    pub fn new(source: PromptSource) -> Result<Self, PromptError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let go = given(&source.template).map(|text| GoTemplate::parse(&text));
        let jinja = given(&source.jinja).map(|text| {
            let template = JinjaTemplate::parse(&text)?;
            Ok::<_, JinjaError>(jinja::ChatTemplate::new(template, &source))
        });
        let (go, jinja) = match (go, jinja) {
            (Some(Err(error)), Some(Ok(jinja))) if source.prefer_go_template != Some(true) => {
                tracing::warn!(%error, "the Go template is broken, the model's own is used");
                (None, Some(jinja))
            }
            (Some(Ok(go)), Some(Err(error))) if source.prefer_go_template != Some(false) => {
                tracing::warn!(%error, "the model's own template is broken, the Go template is used");
                (Some(go), None)
            }
            (go, jinja) => (go.transpose()?, jinja.transpose()?),
        };
        let way = choose(go.as_ref(), jinja.as_ref(), source.prefer_go_template);
        Ok(Self {
            chatml: GoTemplate::parse(CHATML)?,
            strips_thinking: source.architecture.starts_with("qwen3")
                || jinja
                    .as_ref()
                    .is_some_and(jinja::ChatTemplate::is_deepseek_r1),
            source,
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

    /// Whether the template in use enables this.
    pub fn can(&self, capability: Capability) -> bool {
        self.capabilities().contains(&capability)
    }

    /// The text of the template in use; of a model without one, that it reads the bare prompt.
    pub fn template_text(&self) -> &str {
        let text = match self.way {
            Way::Go => &self.source.template,
            Way::Jinja => &self.source.jinja,
            Way::ChatMl => &None,
        };
        text.as_deref().unwrap_or("{{ .Prompt }}")
    }

    /// The texts around thoughts in the answers; `None` where the model does not think apart.
    pub fn thinking_tags(&self) -> Option<ThinkingTags> {
        match self.way {
            Way::Go => go::thinking_tags(self.go.as_ref()?),
            Way::Jinja => self.can(Capability::Thinking).then(ThinkingTags::default),
            Way::ChatMl => None,
        }
    }

    /// Finds calls of these tools in one answer.
    pub fn tool_parser(&self, tools: &[Tool]) -> ToolParser {
        let tags = match (self.way, &self.go, &self.jinja) {
            (Way::Go, Some(template), _) => go::tool_call_tags(template),
            (Way::Jinja, _, Some(template)) => template.tool_call_tags(),
            _ => vec!["{".to_owned()],
        };
        ToolParser::new(tags, tools)
    }

    /// Renders a chat: MESSAGE lines, then the request's messages, behind SYSTEM unless the
    /// request begins with a system message of its own. The oldest messages go where the budget
    /// asks for it; system messages and the last one always stay.
    ///
    /// # Errors
    /// There are no messages, or the template fails.
    pub fn render_chat(&self, chat: &ChatPrompt<'_>) -> Result<Rendered, PromptError> {
        let Some(first) = chat.messages.first() else {
            return Err(PromptError::Refused("there are no messages".to_owned()));
        };
        let mut messages = Vec::new();
        if first.role != "system"
            && let Some(system) = self.system()
        {
            messages.push(Message::new("system", system));
        }
        messages.extend(self.source.messages.iter().chain(&chat.messages).cloned());
        self.strip_thinking(&mut messages);
        self.render_messages(&messages, chat.tools, chat)
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
        let think = self.think(request.chat.think);
        if !request.suffix.is_empty() {
            let template = own_template.as_ref().or(self.go.as_ref());
            let template = template
                .filter(|template| template.mentions("suffix"))
                .ok_or_else(|| {
                    PromptError::Refused("the template has no place for a suffix".to_owned())
                })?;
            let text = go::render_suffix(template, request.prompt, request.suffix, think)?;
            return Ok(Rendered {
                text,
                images: Vec::new(),
            });
        }
        let mut messages = Vec::new();
        let system = match request.system {
            "" => self.system(),
            system => Some(system),
        };
        messages.extend(system.map(|system| Message::new("system", system)));
        if !request.has_context {
            messages.extend(self.source.messages.iter().cloned());
        }
        messages.push(Message {
            images: request.images.to_vec(),
            ..Message::new("user", request.prompt)
        });
        if let Some(template) = own_template {
            let (messages, images) = with_image_markers(&messages);
            let text = go::render(&template, &messages, &[], think)?;
            return Ok(Rendered { text, images });
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
            });
        }
        self.render_messages(&messages, &[], request.chat)
    }

    fn system(&self) -> Option<&str> {
        self.source
            .system
            .as_deref()
            .filter(|system| !system.is_empty())
    }

    /// What a request means by not mentioning thinking.
    fn think(&self, asked: Option<Think>) -> Option<Think> {
        asked.or_else(|| self.can(Capability::Thinking).then_some(Think::On))
    }

    /// Thoughts of earlier answers only take room in models that were trained without them.
    fn strip_thinking(&self, messages: &mut [Message]) {
        let last_user = messages.iter().rposition(|message| message.role == "user");
        let earlier = &mut messages[..last_user.filter(|_| self.strips_thinking).unwrap_or(0)];
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
        chat: &ChatPrompt<'_>,
    ) -> Result<Rendered, PromptError> {
        let think = self.think(chat.think);
        let adds_bos = (chat.tokens)("") > 0;
        let render = |from: usize| -> Result<(String, Vec<Vec<u8>>), PromptError> {
            let (messages, images) = with_image_markers(&kept(messages, from));
            let text = match (self.way, &self.go, &self.jinja) {
                (Way::Go, Some(template), _) => go::render(template, &messages, tools, think)?,
                (Way::Jinja, _, Some(template)) => template.render(&messages, tools, think)?,
                _ => go::render(&self.chatml, &messages, tools, think)?,
            };
            Ok((self.without_double_bos(text, adds_bos), images))
        };
        let (text, images) = if chat.truncate {
            shorten(messages.len(), render, |text, images| {
                let tokens = (chat.tokens)(text).saturating_add(images * IMAGE_TOKENS);
                tokens <= chat.context_tokens
            })?
        } else {
            render(0)?
        };
        Ok(Rendered { text, images })
    }

    /// The tokenizer adds the token itself, and two of them derail some models.
    fn without_double_bos(&self, text: String, adds_bos: bool) -> String {
        let bos = self.source.bos_token.as_str();
        match text.strip_prefix(bos) {
            Some(rest) if adds_bos && !bos.is_empty() => rest.to_owned(),
            _ => text,
        }
    }
}

fn choose(
    go: Option<&GoTemplate>,
    jinja: Option<&jinja::ChatTemplate>,
    prefer_go: Option<bool>,
) -> Way {
    let (go, jinja) = match (go, jinja, prefer_go) {
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

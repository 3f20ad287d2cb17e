//! Text: from a request in native terms to a running answer.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use wick_models::{AddSpecial, Specials, Tokenizer};

use crate::access::Caller;
use crate::api::App;
use crate::api::catalog::{Model, blocking};
use crate::api::error::{ApiError, Missing, Route};
use crate::api::fields::{self, KeepAliveField};
use crate::api::options::Options;
use crate::engine::{Constraint, Generation, Lease};
use crate::prompt::output::OutputParser;
use crate::prompt::render::{Budget, Capability, ChatPrompt, GeneratePrompt, Rendered};
use crate::prompt::{Message, Think, Tool};

use super::answer::{Answer, Plan};

/// A request for text.
#[derive(Clone, Debug, Default)]
pub(crate) struct TextRequest {
    /// The model as the client wrote it.
    pub model: String,
    /// A hold on that model, where there is one already. Whoever holds one must not wait for another: a load that waits
    /// for the first to end would never let the second through.
    pub lease: Option<Lease>,
    /// What to write about.
    pub subject: Subject,
    /// Options as they came, to go over those of the model.
    pub options: Option<Map<String, Value>>,
    /// How long the model stays afterwards.
    pub keep_alive: Option<KeepAliveField>,
    /// The form that the answer is held to.
    pub format: Option<Value>,
    /// The same in the engine's terms; goes before `format`.
    pub constraint: Option<Constraint>,
    /// Whether to think first; absent is yes for models that can.
    pub think: Option<Think>,
    /// Whether to drop `think` in silence where the model cannot.
    pub think_if_possible: bool,
    /// Tools the answer may call.
    pub tools: Vec<Tool>,
    /// Whether a prompt that is too long may be cut; absent is yes.
    pub truncate: Option<bool>,
    /// Whether the answer may go on beyond the context; absent is yes.
    pub shift: Option<bool>,
    /// Whether, and how many best tokens, to report.
    pub logprobs: Option<usize>,
    /// Stop after the prompt is written.
    pub render_only: bool,
}

/// What to write about.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// The next turn of a conversation.
    Chat(Vec<Message>),
    /// What follows a prompt.
    Completion(Completion),
}

impl Default for Subject {
    fn default() -> Self {
        Subject::Chat(Vec::new())
    }
}

/// What `/api/generate` works on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Completion {
    /// The text, or the user's turn.
    pub prompt: String,
    /// What comes after the gap to fill.
    pub suffix: String,
    /// Goes before the model's system text.
    pub system: String,
    /// A Go template for this request only.
    pub template: String,
    /// Tokens of an earlier exchange.
    pub context: Vec<u32>,
    /// Use the prompt as it is.
    pub raw: bool,
    /// Images of the prompt.
    pub images: Vec<Vec<u8>>,
}

/// What came of a request for text.
pub(crate) enum Outcome {
    /// Nothing to write; the model is in memory.
    Loaded,
    /// Nothing to write; the model will go.
    Unloaded,
    /// The prompt.
    Rendered {
        /// What the model would have read.
        text: String,
        /// Images in it.
        images: usize,
    },
    /// An answer that is being written.
    Answer(Box<Answer>),
}

impl Subject {
    fn is_empty(&self) -> bool {
        match self {
            Subject::Chat(messages) => messages.is_empty(),
            Subject::Completion(completion) => completion.prompt.is_empty(),
        }
    }

    fn route(&self) -> Route {
        match self {
            Subject::Chat(_) => Route::Chat,
            Subject::Completion(_) => Route::Generate,
        }
    }

    fn has_images(&self) -> bool {
        match self {
            Subject::Chat(messages) => messages.iter().any(|m| !m.images.is_empty()),
            Subject::Completion(completion) => !completion.images.is_empty(),
        }
    }
}

/// Resolves, checks, loads, renders, cuts and starts; the order is the one clients see in errors.
pub(crate) async fn text(
    app: &App,
    caller: &Caller,
    mut request: TextRequest,
) -> Result<Outcome, ApiError> {
    let started = Instant::now();
    let model = app.model(request.subject.route(), &request.model).await?;
    let is_empty = request.subject.is_empty();
    if is_empty && request.keep_alive.is_some_and(KeepAliveField::is_zero) {
        app.engine.unload(&model.path);
        return Ok(Outcome::Unloaded);
    }
    if let Subject::Completion(completion) = &request.subject {
        let templated = !completion.template.is_empty()
            || !completion.system.is_empty()
            || !completion.context.is_empty();
        if completion.raw && templated {
            let text = "raw mode does not support template, system, or context";
            return Err(ApiError::BadRequest(text.to_owned()));
        }
    }
    request.think = think(&model, &request)?;
    check_abilities(&model, &request)?;
    let options = Options::merge(&model.stored.params, request.options.as_ref())?;
    let lease = match request.lease.take() {
        Some(lease) => lease,
        None => app.load(&model, &options, request.keep_alive).await?,
    };
    if is_empty {
        return Ok(Outcome::Loaded);
    }
    let constraint = match request.constraint.take() {
        None => fields::constraint(request.format.as_ref())?,
        own => own,
    };
    // Templates and tokenizers take their time with long prompts.
    let prepared =
        blocking(move || Prepared::new(model, request, options, lease, constraint)).await?;
    prepared.start(started, caller.tenant.clone()).await
}

/// Whether the answer begins with thinking; `None` where the model knows of no such thing.
fn think(model: &Model, request: &TextRequest) -> Result<Option<Think>, ApiError> {
    match request.think {
        _ if model.has(Capability::Thinking) => Ok(Some(request.think.unwrap_or(Think::On))),
        Some(think) if think.is_on() && !request.think_if_possible => {
            let model = format!("{:?}", request.model);
            Err(ApiError::Missing(vec![Missing {
                model,
                ability: "thinking",
            }]))
        }
        _ => Ok(None),
    }
}

fn check_abilities(model: &Model, request: &TextRequest) -> Result<(), ApiError> {
    if !model.completes() {
        let ability = match request.subject {
            Subject::Chat(_) => "chat",
            Subject::Completion(_) => "generate",
        };
        let model = format!("{:?}", request.model);
        return Err(ApiError::Missing(vec![Missing { model, ability }]));
    }
    let fills =
        matches!(&request.subject, Subject::Completion(c) if !c.suffix.is_empty() && !c.raw);
    let wanted = [
        (fills && !model.has(Capability::Insert), "insert"),
        (
            !request.tools.is_empty() && !model.has(Capability::Tools),
            "tools",
        ),
        // Images would be dropped in silence otherwise: no model that runs here sees.
        (request.subject.has_images(), "vision"),
    ];
    let missing: Vec<Missing> = wanted
        .into_iter()
        .filter(|(lacks, _)| *lacks)
        .map(|(_, ability)| Missing {
            model: model.stored.name.full(),
            ability,
        })
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(ApiError::Missing(missing))
    }
}

/// A request with its prompt written and cut.
struct Prepared {
    lease: Lease,
    rendered: Rendered,
    tokens: Vec<u32>,
    request: TextRequest,
    options: Options,
    constraint: Option<Constraint>,
}

impl Prepared {
    fn new(
        model: Model,
        request: TextRequest,
        options: Options,
        lease: Lease,
        constraint: Option<Constraint>,
    ) -> Result<Prepared, ApiError> {
        let counter = Counter::new(lease.tokenizer().clone());
        let rendered = render(&model, &request, &lease, &counter)?;
        let tokens = counter.tokens(&rendered.text)?;
        let room = Room {
            context_tokens: lease.context_tokens(),
            keep: options.keep,
            has_bos: lease.tokenizer().adds_bos(),
            may_cut: request.truncate.unwrap_or(true) && request.shift.unwrap_or(true),
        };
        let tokens = room.fit(tokens)?;
        Ok(Prepared {
            lease,
            rendered,
            tokens,
            request,
            options,
            constraint,
        })
    }

    async fn start(self, started: Instant, tenant: String) -> Result<Outcome, ApiError> {
        if self.request.render_only {
            let images = self.rendered.images.len();
            return Ok(Outcome::Rendered {
                text: self.rendered.text,
                images,
            });
        }
        let tokenizer = self.lease.tokenizer();
        let marks = self.rendered.parser.call_marks();
        let printed = marks
            .filter_map(|mark| tokenizer.token_id(mark))
            .filter(|&id| tokenizer.token_bytes(id).is_empty())
            .collect();
        let generation = Generation {
            prompt: self.tokens,
            sampling: self.options.sampling,
            predict: self.options.predict,
            keep: self.options.keep,
            shift: self.request.shift.unwrap_or(true),
            stop: self.options.stop,
            printed,
            logprobs: self.request.logprobs,
            candidates: 1,
            tenant,
            constraint: self.constraint,
        };
        let wants_context = matches!(&self.request.subject, Subject::Completion(c) if !c.raw);
        let plan = Plan {
            started,
            lease: self.lease,
            prompt: self.rendered.text,
            generation,
            // Thoughts have no form: the answer is held to it from its first word on.
            constrain_after_thinking: !self.rendered.parser.thinking_is_over(),
            parser: self.rendered.parser,
            wants_context,
        };
        Ok(Outcome::Answer(Box::new(Answer::start(plan).await?)))
    }
}

/// Turns texts into tokens and remembers the last one: a prompt is measured before it is used.
struct Counter {
    tokenizer: Arc<Tokenizer>,
    last: RefCell<(String, Vec<u32>)>,
}

impl Counter {
    fn new(tokenizer: Arc<Tokenizer>) -> Counter {
        Counter {
            tokenizer,
            last: RefCell::default(),
        }
    }

    /// More than any context holds for a text that has no tokens.
    fn count(&self, text: &str) -> usize {
        match self.tokenizer.encode(text, AddSpecial::Yes) {
            Ok(tokens) => {
                let count = tokens.len();
                self.last.replace((text.to_owned(), tokens));
                count
            }
            Err(_) => usize::MAX / 2,
        }
    }

    fn tokens(&self, text: &str) -> Result<Vec<u32>, wick_models::Error> {
        let (last, tokens) = self.last.take();
        if last == text && !text.is_empty() {
            return Ok(tokens);
        }
        self.tokenizer.encode(text, AddSpecial::Yes)
    }
}

fn render(
    model: &Model,
    request: &TextRequest,
    lease: &Lease,
    counter: &Counter,
) -> Result<Rendered, ApiError> {
    let tokenizer = lease.tokenizer();
    let count = |text: &str| counter.count(text);
    let budget = Budget {
        tokens: &count,
        context_tokens: lease.context_tokens(),
        truncate: request.truncate.unwrap_or(true),
    };
    match &request.subject {
        Subject::Chat(messages) => Ok(model.prompt.render_chat(&ChatPrompt {
            messages,
            tools: &request.tools,
            think: request.think,
            budget,
        })?),
        Subject::Completion(completion) if completion.raw => Ok(Rendered {
            text: completion.prompt.clone(),
            images: Vec::new(),
            parser: OutputParser::plain(),
        }),
        Subject::Completion(completion) => {
            let mut rendered = model.prompt.render_generate(&GeneratePrompt {
                prompt: &completion.prompt,
                suffix: &completion.suffix,
                system: &completion.system,
                template: &completion.template,
                images: &completion.images,
                think: request.think,
                has_context: !completion.context.is_empty(),
                budget,
            })?;
            let vocab = tokenizer.vocab_size();
            if let Some(bad) = completion.context.iter().find(|id| **id as usize >= vocab) {
                let text = format!("context has token {bad}, the model knows {vocab} tokens");
                return Err(ApiError::BadRequest(text));
            }
            let before = tokenizer.decode(&completion.context, Specials::Keep);
            rendered.text.insert_str(0, &before);
            Ok(rendered)
        }
    }
}

/// Where a prompt has to fit in.
struct Room {
    context_tokens: usize,
    keep: i64,
    has_bos: bool,
    may_cut: bool,
}

impl Room {
    /// The prompt, or its first `keep` tokens and as much of its end as leaves half of the rest free.
    fn fit(&self, tokens: Vec<u32>) -> Result<Vec<u32>, ApiError> {
        if tokens.len() <= self.context_tokens {
            return Ok(tokens);
        }
        if !self.may_cut {
            return Err(ApiError::PromptTooLong);
        }
        let keep = usize::try_from(self.keep).unwrap_or(tokens.len());
        let keep = keep.saturating_add(usize::from(self.has_bos));
        let keep = keep.min(self.context_tokens.saturating_sub(1));
        let free = ((self.context_tokens - keep) / 2).max(1);
        let tail = self.context_tokens - keep - free;
        Ok([&tokens[..keep], &tokens[tokens.len() - tail..]].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(context_tokens: usize, keep: i64) -> Room {
        Room {
            context_tokens,
            keep,
            has_bos: false,
            may_cut: true,
        }
    }

    #[test]
    fn prompts_that_fit_stay_whole() {
        let tokens: Vec<u32> = (0..10).collect();
        assert_eq!(room(10, 4).fit(tokens.clone()).unwrap(), tokens);
    }

    #[test]
    fn long_prompts_keep_their_start_and_their_end() {
        let tokens: Vec<u32> = (0..5000).collect();
        let cut = room(4096, 4).fit(tokens).unwrap();
        assert_eq!(cut.len(), 2050);
        assert_eq!(cut[..5], [0, 1, 2, 3, 2954]);
        assert_eq!(cut.last(), Some(&4999));
    }

    #[test]
    fn the_start_token_is_kept_too_and_keeping_all_leaves_room_for_one() {
        let tokens: Vec<u32> = (0..100).collect();
        let with_bos = Room {
            has_bos: true,
            ..room(10, 2)
        };
        assert_eq!(
            with_bos.fit(tokens.clone()).unwrap(),
            [0, 1, 2, 96, 97, 98, 99]
        );
        assert_eq!(
            room(10, -1).fit(tokens.clone()).unwrap(),
            (0..9).collect::<Vec<u32>>()
        );
        let fixed = Room {
            may_cut: false,
            ..room(10, 2)
        };
        assert!(matches!(fixed.fit(tokens), Err(ApiError::PromptTooLong)));
    }
}

//! `POST /coach/chat`, and `POST /api/chat` where the body is the coach's.

use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::warn;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::{AssistBody, ErrorBody, in_time, model};
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, AssistError};
use crate::api::ids;
use crate::coach::answers::Owner;
use crate::coach::chat::{self as coach, ChatAnswer, ChatRequest};
use crate::coach::figures::Figure;
use crate::coach::library::Level;
use crate::coach::passages::{Cited, Source};
use crate::coach::writer::{TokenUsage, Turn};
use crate::coach::{DISCLAIMER, Desk, Reader};

use super::body::{self, Id};
use super::writer::ModelWriter;
use super::{Sink, failure, owner, respond, wrong};

/// A message to the coach.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"message": "I earn 3,000 € a month and spend 2,550 €. Is my savings rate any good?",
    "user_id": "42", "context": {"user_name": "Anna", "user_level": "beginner", "preferences": {}}}))]
pub(crate) struct ChatBody {
    /// The question.
    message: String,
    /// Who asks, where the caller asks for many; conversations belong to them.
    #[schema(value_type = Option<String>)]
    user_id: Option<Id>,
    /// The conversation that this goes on with, from an earlier answer.
    conversation_id: Option<String>,
    /// Who asks.
    context: Option<Context>,
    /// A model of `/ai/models`; absent: the configured one.
    model: Option<String>,
    /// Whether to answer in server-sent events.
    stream: Option<bool>,
}

/// What is known about the one who asks.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct Context {
    /// What to call them.
    user_name: Option<String>,
    /// How much they know: `beginner` (also if absent), `intermediate` or `advanced`.
    #[serde(deserialize_with = "body::level")]
    #[schema(value_type = Option<String>)]
    user_level: Option<Level>,
    /// What they like and need; `currency` is the code of theirs.
    #[schema(value_type = Option<Object>)]
    preferences: Option<Map<String, Value>>,
}

/// The coach's answer. All texts are plain: nothing in them is markup.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ChatResponse {
    /// The answer; `[1]` means the first source.
    response: String,
    /// What it rests on.
    sources: Vec<Source>,
    /// To be sent with the next message.
    conversation_id: String,
    /// Who wrote it.
    model: String,
    /// What was computed for it.
    figures: Vec<Figure>,
    /// What to show under it.
    disclaimer: &'static str,
    /// Tokens that it took.
    usage: TokenUsage,
    /// Time since the request came.
    total_duration_ms: f64,
    /// Whether the same question was answered before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
}

/// An answer to a question about money.
#[utoipa::path(post, path = "/coach/chat", tag = "coach", request_body = ChatBody, responses(
    (status = 200, description = "The answer, or its events with `stream`", body = ChatResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such model", body = ErrorBody),
    (status = 413, description = "More than the model can read", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The model is not here, or too many ask", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn chat(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(body): AssistBody<ChatBody>,
) -> Result<Response, AssistError> {
    Ok(answer(app, caller, body).await?)
}

/// The same, whatever the route.
pub(super) async fn answer(app: App, caller: Caller, body: ChatBody) -> Result<Response, ApiError> {
    let mut head = Head {
        started: Instant::now(),
        model: body.model.clone(),
        conversation_id: String::new(),
    };
    let is_stream = body.stream.unwrap_or(false);
    let known = body::conversation_id(body.conversation_id.clone())?;
    let mut request = body.translate(&caller)?;
    head.conversation_id = known.clone().unwrap_or_else(|| ids::hex24("conv_"));
    if let Some(refusal) = coach::refusal(&request.message) {
        let usual = app.config.assist_model.clone();
        let model = head
            .model
            .clone()
            .filter(|model| !model.is_empty())
            .unwrap_or(usual);
        let refused = move |sink: Sink| async move {
            sink.say(&refusal.response);
            Ok(head.response(model, refusal))
        };
        return respond(&app, is_stream, refused).await;
    }
    let model = model(&app, head.model.as_deref()).await?;
    if let Some(conversation) = known {
        request.history = recall(&app, &request.owner, conversation).await?;
    }
    let prepare = async {
        let found = coach::look_up(&*app.passages(), &request).await?;
        Ok::<_, ApiError>((found, ModelWriter::open(&app, &caller, &model).await?))
    };
    let (found, writer) = in_time(app.config.assist_timeout, prepare).await?;
    let work = {
        let app = app.clone();
        move |sink: Sink| converse(app, writer, request, found, head, sink)
    };
    respond(&app, is_stream, work).await
}

async fn converse(
    app: App,
    writer: ModelWriter,
    request: ChatRequest,
    found: Cited,
    head: Head,
    sink: Sink,
) -> Result<ChatResponse, ApiError> {
    let passages = app.passages();
    let desk = Desk {
        passages: &*passages,
        writer: &writer,
        answers: &app.coach.answers,
    };
    let today = jiff::Zoned::now().date();
    let answer = coach::chat(&desk, &request, &found, today, &mut |text| sink.say(text))
        .await
        .map_err(failure)?;
    let turn = Turn {
        message: request.message,
        response: answer.response.clone(),
    };
    let conversation = head.conversation_id.clone();
    remember(&app, request.owner, conversation, turn).await;
    Ok(head.response(writer.name().to_owned(), answer))
}

async fn recall(app: &App, owner: &Owner, conversation: String) -> Result<Vec<Turn>, ApiError> {
    let (app, owner) = (app.clone(), owner.clone());
    let now = jiff::Timestamp::now().as_second();
    blocking(move || {
        app.coach
            .history
            .recall(&owner, &conversation, now)
            .map_err(ApiError::History)
    })
    .await
}

/// An answer is good even if it will be forgotten.
async fn remember(app: &App, owner: Owner, conversation: String, turn: Turn) {
    let app = app.clone();
    let now = jiff::Timestamp::now().as_second();
    let add = move || {
        app.coach
            .history
            .add(&owner, &conversation, &turn, now)
            .map_err(ApiError::History)
    };
    if let Err(error) = blocking(add).await {
        warn!("an exchange with the coach is not remembered: {error}");
    }
}

impl ChatBody {
    fn translate(self, caller: &Caller) -> Result<ChatRequest, ApiError> {
        if self.message.trim().is_empty() {
            return Err(wrong("message", "must not be empty"));
        }
        let context = self.context.unwrap_or_default();
        let preferences: Vec<(String, String)> = context
            .preferences
            .into_iter()
            .flatten()
            .filter_map(preference)
            .collect();
        // A site's other preferences may go by this name, too.
        let code = preferences
            .iter()
            .find(|(key, _)| key == "currency")
            .map(|(_, code)| code.clone());
        Ok(ChatRequest {
            owner: owner(caller, body::user_id(self.user_id)?),
            message: body::text("message", Some(self.message))?,
            currency: body::currency("context.preferences.currency", code)
                .ok()
                .flatten(),
            reader: Reader {
                name: context.user_name.filter(|name| !name.trim().is_empty()),
                level: context.user_level.unwrap_or_default(),
                preferences,
            },
            history: Vec::new(),
        })
    }
}

/// A preference in words; what is nested is left out.
fn preference((key, value): (String, Value)) -> Option<(String, String)> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Array(items) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            items.join(", ")
        }
        Value::Null | Value::Object(_) => return None,
    };
    (!text.trim().is_empty()).then_some((key, text))
}

/// What all answers share.
struct Head {
    started: Instant,
    model: Option<String>,
    conversation_id: String,
}

impl Head {
    fn response(self, model: String, answer: ChatAnswer) -> ChatResponse {
        ChatResponse {
            response: answer.response,
            sources: answer.sources,
            conversation_id: self.conversation_id,
            model,
            figures: answer.figures,
            disclaimer: DISCLAIMER,
            usage: answer.usage,
            total_duration_ms: (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            cached: answer.is_cached,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn translated(body: Value) -> ChatRequest {
        let body: ChatBody = serde_json::from_value(body).unwrap();
        body.translate(&Caller::local()).unwrap()
    }

    #[test]
    fn a_context_becomes_a_reader() {
        let request = translated(
            json!({"message": "m", "user_id": "7", "context": {"user_name": "Anna",
            "user_level": "Advanced", "preferences": {"currency": "chf", "topics": ["a", "b"], "short": true, "x": {}}}}),
        );
        assert_eq!(
            (request.owner.user.as_str(), request.owner.tenant.as_str()),
            ("7", "default")
        );
        assert_eq!(
            (request.reader.level, request.reader.name.as_deref()),
            (Level::Advanced, Some("Anna"))
        );
        assert_eq!(request.currency.as_deref(), Some("CHF"));
        let words: Vec<_> = request
            .reader
            .preferences
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(words, ["currency=chf", "topics=a, b", "short=yes"]);
        let bare = translated(
            json!({"message": "m", "context": {"preferences": null, "user_name": null, "user_level": null}}),
        );
        assert_eq!(bare.reader, Reader::default());
    }
}

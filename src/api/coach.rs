//! The coach's routes: parse, ask `crate::coach`, answer.

mod body;
pub(crate) mod chat;
pub(crate) mod plan;
pub(crate) mod users;
mod writer;

use std::future::Future;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use axum::{Json, Router};
use futures_util::stream;
use serde::Serialize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::access::{AccessError, Area, Caller};
use crate::coach::CoachError;
use crate::coach::answers::{Answers, Owner};
use crate::coach::history::{History, HistoryError};
use crate::coach::shelf::Shelf;
use crate::config::Config;
use crate::ops::metrics;
use crate::rag::Retriever;

use super::App;
use super::admission;
use super::assist::in_time;
use super::error::{ApiError, AssistError};
use super::stream::{Frame, Framing, streamed};

/// Name of the history's file in the data folder.
const HISTORY_FILE: &str = "coach.db";

/// All of them, but for the one that is Ollama's too (see [`is_for_coach`]).
pub(crate) fn router() -> Router<App> {
    Router::new()
        .route("/coach/chat", post(chat::chat))
        .route("/coach/plan", post(plan::plan))
        .route("/api/coach", post(plan::plan))
        .route("/coach/users/{id}", delete(users::forget))
}

/// What the coach keeps between requests.
pub(crate) struct CoachState {
    pub answers: Answers,
    pub history: History,
}

impl CoachState {
    /// Nothing is kept yet but what was kept on disk.
    pub(crate) fn new(config: &Config) -> Result<CoachState, HistoryError> {
        let folder = config.data_dir.as_ref().filter(|_| config.coach_history);
        Ok(CoachState {
            answers: Answers::default(),
            history: match folder {
                Some(folder) => History::on_disk(&folder.join(HISTORY_FILE))?,
                None => History::in_memory()?,
            },
        })
    }
}

impl App {
    /// Where the coach looks things up: the tables, or its own articles by their words alone while there are none.
    fn passages(&self) -> Arc<dyn Retriever> {
        #[cfg(feature = "rag")]
        if let Some(rag) = self.opened() {
            return rag;
        }
        Arc::new(Shelf)
    }
}

/// Whether a body for `/api/chat` is meant for the coach: it has a text `message`, and neither `messages` nor
/// `model`, which Ollama's have.
pub(crate) fn is_for_coach(body: &[u8]) -> bool {
    struct Keys;

    impl<'de> Visitor<'de> for Keys {
        type Value = bool;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
            let (mut has_message, mut is_ollamas) = (false, false);
            while let Some(key) = map.next_key::<String>()? {
                // Ollama's keys match whatever their case, and null is as good as absent.
                match key.to_ascii_lowercase().as_str() {
                    "messages" | "model" => {
                        is_ollamas |= map.next_value::<Option<IgnoredAny>>()?.is_some()
                    }
                    _ if key == "message" => {
                        has_message = map.next_value::<serde_json::Value>()?.is_string()
                    }
                    _ => drop(map.next_value::<IgnoredAny>()?),
                }
            }
            Ok(has_message && !is_ollamas)
        }
    }

    // Most bodies need no second reading.
    const KEY: &[u8] = b"\"message\"";
    body.windows(KEY.len()).any(|window| window == KEY)
        && serde_json::Deserializer::from_slice(body)
            .deserialize_map(Keys)
            .unwrap_or(false)
}

/// `POST /api/chat` with a body that is the coach's: let in by the coach's rules, whatever those of the route are.
pub(crate) async fn chat_by_another_name(app: App, parts: &Parts, body: &Bytes) -> Response {
    let (caller, budget) = match admission::admit_to(&app, Area::Coach, parts).await {
        Ok(admitted) => admitted,
        Err(error) => {
            if matches!(error, AccessError::Limit { .. }) {
                metrics::rate_limited(Area::Coach);
            }
            return admission::refuse(error, parts.uri.path());
        }
    };
    let answer = match body::read(body) {
        Ok(body) => chat::answer(app, caller, body).await,
        Err(error) => Err(error),
    };
    let mut response = answer.map_err(AssistError).into_response();
    if let Some(budget) = budget {
        admission::rate_headers(response.headers_mut(), Area::Coach, &budget);
    }
    response
}

/// A request taken apart, its body whole.
pub(crate) async fn take_apart(request: Request) -> Result<(Parts, Bytes), ApiError> {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await;
    let bytes = bytes.map_err(|error| super::body::BodyError::Read(error.to_string()))?;
    Ok((parts, bytes))
}

/// Who asks: the caller, on behalf of the user that the request names.
fn owner(caller: &Caller, user: Option<String>) -> Owner {
    Owner {
        tenant: caller.tenant.clone(),
        caller: caller.user.clone().unwrap_or_default(),
        user: user.unwrap_or_default(),
    }
}

/// Pieces of an answer on their way to a client that watches.
#[derive(Clone)]
pub(super) struct Sink(Option<UnboundedSender<Frame>>);

impl Sink {
    fn say(&self, text: &str) {
        if let (Some(frames), false) = (&self.0, text.is_empty()) {
            // Who does not listen any more has ended this work, too.
            let _ = frames.send(Frame::event("token", &json!({"text": text})));
        }
    }

    /// Any other event.
    pub(super) fn tell(&self, event: &str, value: &impl Serialize) {
        if let Some(frames) = &self.0 {
            let _ = frames.send(Frame::event(event, value));
        }
    }
}

/// Ends a task that nobody waits for any more.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Does the work and answers with its result, whole or as events. Either way an error that comes before the first
/// word has its status, and work whose client has gone is ended.
pub(super) async fn respond<B, F>(
    app: &App,
    is_stream: bool,
    work: impl FnOnce(Sink) -> F,
) -> Result<Response, ApiError>
where
    B: Serialize + Send + 'static,
    F: Future<Output = Result<B, ApiError>> + Send + 'static,
{
    let limit = app.config.assist_timeout;
    if !is_stream {
        let body = in_time(limit, work(Sink(None))).await?;
        return Ok(Json(body).into_response());
    }
    let (frames, mut received) = unbounded_channel();
    let (failed, failure) = tokio::sync::oneshot::channel();
    let work = work(Sink(Some(frames.clone())));
    let task = Task(tokio::spawn(async move {
        match in_time(limit, work).await {
            Ok(body) => drop(frames.send(Frame::event("result", &body))),
            Err(error) => drop(failed.send(error)),
        }
    }));
    let Some(first) = received.recv().await else {
        return Err(failure.await.unwrap_or(ApiError::Task));
    };
    let begin = (Some(first), received, Some(failure), task);
    let frames = stream::unfold(begin, |(first, mut received, failure, task)| async move {
        let next = match first {
            Some(first) => Some(first),
            None => received.recv().await,
        };
        if let Some(frame) = next {
            return Some((frame, (None, received, failure, task)));
        }
        // Nothing was sent by a task that has brought its result.
        let error = failure?.await.ok()?;
        let frame = Frame::event("error", &AssistError(error).body());
        Some((frame, (None, received, None, task)))
    });
    Ok(streamed(Framing::Events, frames))
}

/// What a coach that has no answer says to a client.
fn failure(error: CoachError<ApiError>) -> ApiError {
    match error {
        CoachError::Writer(error) => error,
        CoachError::TooLong => ApiError::PromptTooLong,
    }
}

fn wrong(field: &str, problem: &str) -> ApiError {
    ApiError::Field {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_the_coachs_or_ollamas() {
        for body in [
            r#"{"message": "hi"}"#,
            r#"{"user_id": "7", "context": {"model": "x", "messages": []}, "message": "\"model\""}"#,
            r#"{"message": "hi", "model": null, "messages": null, "stream": true}"#,
        ] {
            assert!(is_for_coach(body.as_bytes()), "{body}");
        }
        for body in [
            r#"{"model": "m", "messages": [{"role": "user", "content": "hi"}]}"#,
            r#"{"model": "m", "message": "hi"}"#,
            r#"{"Model": "m", "message": "hi"}"#,
            r#"{"message": "hi", "messages": []}"#,
            r#"{"message": {"role": "user"}}"#,
            r#"{"message": null}"#,
            r#"{"Message": "hi"}"#,
            r#"["message"]"#,
            r#"{"message": "#,
            "",
        ] {
            assert!(!is_for_coach(body.as_bytes()), "{body}");
        }
    }
}

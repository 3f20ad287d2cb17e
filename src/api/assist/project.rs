//! `POST /ai/code/generate` and its archive.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::catalog::blocking;
use crate::api::coach::{Sink, respond};
use crate::api::error::{ApiError, AssistError};
use crate::api::ids;
use crate::api::verbs::{Step, Subject, TextRequest};
use crate::code::generate::{
    self as code, Ask, ChangedFile, Clash, CodeRequest, Conversation, GenerateError, Kept,
    Progress, Project, ProjectError, Role, Say, Stack, Writer,
};
use crate::prompt::{Message, Think};

use super::{AssistBody, ErrorBody, HeldModel};

/// Longest request, in bytes; what the model can read may be less.
const PROMPT_BYTES: usize = 64 << 10;
/// Longest name of a conversation, in bytes.
const CONVERSATION_BYTES: usize = 128;
/// Of the time that an answer may take, so much is for writing files; the rest is for the one that is being written.
const WRITING_SHARE: f64 = 0.9;
/// Any number: the same request comes to the same files.
const SEED: u32 = 1;

/// What to make.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"prompt": "Create a React todo app with local storage", "stack": "react"}))]
pub(crate) struct ProjectRequest {
    /// What is wanted, in words.
    prompt: String,
    /// What it is built with: html, react, nextjs, vue, svelte, express, node, fastapi, flask, django, python,
    /// javascript, typescript, sql or sqlite; absent: as the request or the files suggest.
    stack: Option<String>,
    /// The files that are there (64 of 256 KiB at most, 1 MiB together). With `conversation_id` they go over those that
    /// the conversation has come to.
    files: Option<Vec<GivenFile>>,
    /// From an earlier answer: goes on with its files.
    conversation_id: Option<String>,
    /// A model of `/ai/models`; absent: the configured one.
    model: Option<String>,
    /// Whether to answer in server-sent events: `plan` with the files to come, `token` with `{"path", "text"}` while a file
    /// is first written, `file` with each one that is done, `result` with the whole.
    stream: Option<bool>,
}

/// A file of the project.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct GivenFile {
    /// From the root of the project, with `/` between its parts.
    #[schema(example = "src/App.jsx")]
    path: String,
    /// All of it.
    content: String,
}

/// The files that were written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProjectResponse {
    /// Those that changed, each one whole. The project is the files that were there with these over them.
    files: Vec<ChangedFile>,
    /// What was done and, on lines of their own, what is not as it should be: files that do not parse, that broke off, or
    /// that nothing here could check.
    notes: String,
    /// Who wrote them.
    model: String,
    /// To be sent with the next request, and names the archive. It is good for an hour after its last use.
    conversation_id: String,
}

/// Files from words.
#[utoipa::path(post, path = "/ai/code/generate", tag = "assistant", request_body = ProjectRequest, responses(
    (status = 200, description = "The files, or their events with `stream`", body = ProjectResponse),
    (status = 400, description = "A field is missing or wrong; a path leaves the project, say", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such model, or no such conversation (any more)", body = ErrorBody),
    (status = 413, description = "Too many or too large files, or more than the model can read", body = ErrorBody),
    (status = 422, description = "Nothing sound came of it", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The model is not here, or too many ask", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn generate(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<ProjectRequest>,
) -> Result<Response, AssistError> {
    let is_stream = request.stream.unwrap_or(false);
    let limit = app.config.assist_timeout;
    let until = Instant::now() + limit.mul_f64(WRITING_SHARE);
    let name = request.model.clone();
    let (conversation, request) = request.translate(&app, &caller, until)?;
    let model = super::model(&app, name.as_deref()).await?;
    let writer = HeldModel::open(&app, &caller, &model).await?;
    let work = {
        let app = app.clone();
        move |sink: Sink| make(app, writer, request, conversation, sink)
    };
    Ok(respond(&app, is_stream, work).await?)
}

/// The project that a conversation has come to, as a zip archive: the files that were given with the changes in them.
#[utoipa::path(get, path = "/ai/code/generate/{conversation_id}/archive", tag = "assistant",
    params(("conversation_id" = String, Path, description = "From an answer of `/ai/code/generate`")), responses(
    (status = 200, description = "The archive", body = Archive, content_type = "application/zip"),
    (status = 400, description = "The name is none", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such conversation (any more)", body = ErrorBody)))]
pub(crate) async fn archive(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Archive, AssistError> {
    let conversation = conversation(&caller, id)?;
    let kept = known(&app, &conversation)?;
    let bytes = blocking(move || Ok(kept.project.archive())).await?;
    Ok(Archive(bytes))
}

/// A zip archive.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct Archive(Vec<u8>);

impl IntoResponse for Archive {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "application/zip"),
            (
                header::CONTENT_DISPOSITION,
                "attachment; filename=\"project.zip\"",
            ),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, self.0).into_response()
    }
}

async fn make(
    app: App,
    writer: HeldModel,
    request: CodeRequest,
    conversation: Conversation,
    sink: Sink,
) -> Result<ProjectResponse, ApiError> {
    let mut tell = |progress: Progress<'_>| match progress {
        Progress::Plan(files) => sink.tell("plan", &json!({"files": files})),
        Progress::Text { path, text } => sink.tell("token", &json!({"path": path, "text": text})),
        Progress::File(file) => sink.tell("file", file),
    };
    let made = code::generate(&request, &writer, &mut tell)
        .await
        .map_err(failure)?;
    let response = ProjectResponse {
        files: made.files,
        notes: made.notes,
        model: writer.name().to_owned(),
        conversation_id: conversation.id.clone(),
    };
    let kept = Kept {
        project: Arc::new(made.project),
        requests: code::remembered(request.earlier, &request.prompt),
    };
    app.projects.keep(conversation, kept, Instant::now());
    Ok(response)
}

fn failure(error: GenerateError<ApiError>) -> ApiError {
    match error {
        GenerateError::Writer(error) => error,
        GenerateError::NoPlan => ApiError::Unfinished("plan"),
        GenerateError::Nothing(_) => ApiError::Impossible(format!("{error}: ask in other words")),
    }
}

/// The conversation of a caller that goes by this name.
fn conversation(caller: &Caller, id: String) -> Result<Conversation, ApiError> {
    let is_harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    if id.is_empty() || id.len() > CONVERSATION_BYTES || !id.chars().all(is_harmless) {
        return Err(wrong("conversation_id", "must be one of an earlier answer"));
    }
    Ok(Conversation {
        tenant: caller.tenant.clone(),
        user: caller.user.clone(),
        id,
    })
}

fn known(app: &App, conversation: &Conversation) -> Result<Kept, ApiError> {
    let kept = app.projects.find(conversation, Instant::now());
    kept.ok_or_else(|| {
        let id = &conversation.id;
        ApiError::NotFound(format!(
            "conversation '{id}' not found: it was never there, or was not used for an hour; begin another one"
        ))
    })
}

fn wrong(field: &str, problem: &str) -> ApiError {
    ApiError::Field {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

impl ProjectRequest {
    /// The conversation, a new one if none is named, and what is asked for in it.
    fn translate(
        self,
        app: &App,
        caller: &Caller,
        until: Instant,
    ) -> Result<(Conversation, CodeRequest), ApiError> {
        if self.prompt.trim().is_empty() {
            return Err(wrong("prompt", "must not be empty"));
        }
        if self.prompt.len() > PROMPT_BYTES {
            let limit_bytes = PROMPT_BYTES;
            return Err(ApiError::FieldTooLarge {
                field: "prompt",
                limit_bytes,
            });
        }
        let stack = stack(self.stack.as_deref())?;
        let given = project(self.files.unwrap_or_default())?;
        let (conversation, kept) = match self.conversation_id.filter(|id| !id.is_empty()) {
            Some(id) => {
                let conversation = conversation(caller, id)?;
                let kept = known(app, &conversation)?;
                (conversation, kept)
            }
            None => (conversation(caller, ids::hex24("code_"))?, Kept::default()),
        };
        let project = kept.project.with(given).map_err(clash)?;
        let request = CodeRequest {
            prompt: self.prompt,
            stack,
            project,
            earlier: kept.requests,
            until,
        };
        Ok((conversation, request))
    }
}

fn stack(name: Option<&str>) -> Result<Option<Stack>, ApiError> {
    let Some(name) = name.filter(|name| !name.trim().is_empty()) else {
        return Ok(None);
    };
    match code::stack(name) {
        Some(stack) => Ok(Some(stack)),
        None => Err(wrong(
            "stack",
            &format!("must be one of {}", code::stacks().join(", ")),
        )),
    }
}

fn project(files: Vec<GivenFile>) -> Result<Project, ApiError> {
    let files = files.into_iter().map(|file| (file.path, file.content));
    Project::new(files.collect()).map_err(|error: ProjectError| match error.is_about_size() {
        true => ApiError::TooLarge(error.to_string()),
        false => ApiError::BadRequest(error.to_string()),
    })
}

fn clash(clash: Clash) -> ApiError {
    let problem = format!("does not go with the files of the conversation: {clash}");
    match clash {
        Clash::FileAndFolder => wrong("files", &problem),
        Clash::TooLarge => ApiError::TooLarge(format!("field 'files' {problem}")),
    }
}

impl Writer for HeldModel {
    type Error = ApiError;

    fn context_tokens(&self) -> usize {
        HeldModel::context_tokens(self)
    }

    fn count(&self, text: &str) -> usize {
        HeldModel::count(self, text)
    }

    async fn write(&self, ask: Ask, say: &mut Say<'_>) -> Result<(), ApiError> {
        let mut answer = HeldModel::write(self, translate(self.name(), ask)).await?;
        while let Some(step) = answer.next().await {
            if let Step::Piece(piece) = step? {
                say(&piece.content);
            }
        }
        Ok(())
    }
}

fn translate(model: &str, ask: Ask) -> TextRequest {
    let options: [(&str, Value); 4] = [
        ("temperature", json!(ask.temperature)),
        ("seed", json!(SEED)),
        ("num_predict", json!(ask.max_tokens)),
        // The form says where the answer ends.
        ("stop", json!([])),
    ];
    let options: Map<String, Value> = options
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let messages = ask.turns.into_iter().map(|turn| {
        let role = match turn.role {
            Role::System => "system",
            Role::User => "user",
            Role::Model => "assistant",
        };
        Message::new(role, turn.text)
    });
    TextRequest {
        model: model.to_owned(),
        subject: Subject::Chat(messages.collect()),
        options: Some(options),
        constraint: Some(ask.form),
        think: Some(Think::Off),
        think_if_possible: true,
        // A prompt that lost its middle in silence would be answered wrongly, and so would one that moved on.
        truncate: Some(false),
        shift: Some(false),
        ..TextRequest::default()
    }
}

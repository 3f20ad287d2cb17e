//! `POST /ai/sql/assist` and what belongs to it.

mod errors;
pub(crate) mod meaning;
pub(crate) mod schemas;
mod task;
pub(crate) mod tools;
mod writer;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, AssistError};
use crate::api::stream::{Frame, Framing, streamed};
use crate::sql::answer::{self, AnswerError, Question};
use crate::sql::database::{Limits, Rows};
use crate::sql::link::{Hints, Linker, Scorer};
use crate::sql::registry::{Ready, Registered};
use crate::sql::statement::LIMIT_BYTES;
use crate::sql::{Dialect, Schema};

use super::generate::in_time;
use super::{AssistBody, ErrorBody};

use task::Task;

/// Statements asked of the model at a time.
const CANDIDATES: usize = 3;
/// Longest query or question, in bytes.
const QUERY_BYTES: usize = LIMIT_BYTES;
/// Name of a schema that came as DDL.
const INLINE: &str = "";

/// The routes.
pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/ai/sql/assist", post(assist))
        .route("/ai/sql/schemas", get(schemas::list))
        .route(
            "/ai/sql/schemas/{name}",
            get(schemas::show).put(schemas::put).delete(schemas::remove),
        )
        .route("/ai/sql/document", post(tools::document))
        .route("/ai/sql/testdata", post(tools::testdata))
        .route("/ai/sql/migrate", post(tools::migrate))
}

/// What to do with a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// SQL from a question.
    Generate,
    /// What a statement does.
    Explain,
    /// How it could be faster.
    Optimize,
    /// What is wrong with it.
    Fix,
    /// What could stand at the cursor.
    Complete,
}

/// A question or a statement.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"query": "Get all active users", "schema": "tenant_mukulah", "action": "generate"}))]
pub(crate) struct AssistRequest {
    /// A question in words (`generate`), else SQL.
    query: String,
    /// Name of a registered schema, or DDL.
    schema: String,
    /// What to do.
    action: Action,
    /// Whose SQL it is: postgres, mysql, sqlite, duckdb, mssql or bigquery; absent: the schema's, else postgres.
    dialect: Option<String>,
    /// What the database said of the statement (`fix`).
    error: Option<String>,
    /// Whether to run the statement, where the schema's registration allows it.
    execute: Option<bool>,
    /// UTF-16 units before the cursor (`complete`); absent: it is at the end.
    cursor_position: Option<u64>,
    /// A model of `/ai/models`; absent: the configured one.
    model: Option<String>,
    /// Whether to answer in server-sent events.
    stream: Option<bool>,
}

/// A checked statement and what there is to say about it.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub(crate) struct AssistResponse {
    /// The statement.
    sql: String,
    /// What it does, or what was done to it.
    explanation: String,
    /// What could be better; for `complete`: what could stand at the cursor.
    suggestions: Vec<String>,
    /// Whether it parses and every name in it exists.
    valid: bool,
    /// What to know before using it.
    warnings: Vec<String>,
    /// Tables it reads or writes.
    tables: Vec<String>,
    /// Columns it names, as `table.column`; `table.*` where it takes all.
    columns: Vec<String>,
    /// Who wrote it; empty if no model was asked.
    model: String,
    /// Times the model was asked.
    attempts: usize,
    /// Time since the request came.
    total_duration_ms: f64,
    /// Rows, if it was run: one object for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<Value>>,
    /// Names and types of the rows' columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    columns_meta: Option<Value>,
    /// For `complete`: each suggestion with its kind, and what it replaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    completions: Option<Value>,
}

/// SQL from a question, or help with SQL.
#[utoipa::path(post, path = "/ai/sql/assist", tag = "sql", request_body = AssistRequest, responses(
    (status = 200, description = "A checked statement, or its events with `stream`", body = AssistResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 403, description = "The statement may not be run, or its database not be connected to", body = ErrorBody),
    (status = 404, description = "No such schema or model", body = ErrorBody),
    (status = 422, description = "The schema cannot answer; the nearest tables are named", body = ErrorBody),
    (status = 429, description = "Over the limit", body = ErrorBody),
    (status = 503, description = "The model or the database is not here", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn assist(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<AssistRequest>,
) -> Result<Response, AssistError> {
    let started = Instant::now();
    let is_stream = request.stream.unwrap_or(false);
    let limit = app.config.assist_timeout;
    let mut response = in_time(limit, respond(&app, &caller, request)).await?;
    response.total_duration_ms = (started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    if is_stream {
        let token = Frame::event("token", &json!({"text": response.sql}));
        let result = Frame::event("result", &response);
        return Ok(streamed(Framing::Events, stream::iter([token, result])));
    }
    Ok(Json(response).into_response())
}

async fn respond(
    app: &App,
    caller: &Caller,
    request: AssistRequest,
) -> Result<AssistResponse, ApiError> {
    if request.query.trim().is_empty() && request.action != Action::Complete {
        return Err(wrong("query", "must not be empty"));
    }
    if request.query.len() > QUERY_BYTES {
        return Err(wrong(
            "query",
            &format!("must have at most {QUERY_BYTES} bytes"),
        ));
    }
    let task = Task::new(app, caller, request).await?;
    match task.request.action {
        Action::Generate => task.generate().await,
        Action::Explain => task.explain().await,
        Action::Optimize => task.optimize().await,
        Action::Fix => task.fix().await,
        Action::Complete => task.complete().await,
    }
}

/// The statement for a question, for who measures models; empty if none is sound.
pub(crate) async fn statement(
    app: &App,
    model: &str,
    ready: &Ready,
    question: &str,
) -> Result<String, ApiError> {
    let caller = Caller::local();
    let meant = meaning::meant(app, &caller, &ready.linker, question).await;
    let question = Question {
        text: question,
        linker: &ready.linker,
        scorer: meant.as_ref().map(|meant| meant as &dyn Scorer),
        database: None,
        execute: false,
        limits: Limits::default(),
        candidates: CANDIDATES,
    };
    let writer = writer::Model {
        app,
        caller: &caller,
        name: model.to_owned(),
    };
    match answer::answer(question, &writer).await {
        Ok(answer) => Ok(answer.sql),
        Err(AnswerError::Writer(error)) => Err(error),
        Err(_) => Ok(String::new()),
    }
}

impl AssistResponse {
    fn fill(&mut self, rows: Rows) {
        let names: Vec<&str> = rows
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        let objects = rows.rows.iter().map(|row| {
            let cells = names.iter().zip(row);
            Value::Object(
                cells
                    .map(|(name, cell)| ((*name).to_owned(), cell.clone()))
                    .collect(),
            )
        });
        self.rows = Some(objects.collect());
        self.columns_meta = Some(json!(rows.columns));
        if rows.is_cut {
            let count = rows.rows.len();
            self.warnings
                .push(format!("only the first {count} rows are shown"));
        }
    }
}

/// The dialect of a request.
fn dialect(name: Option<&str>) -> Result<Option<Dialect>, ApiError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(None);
    };
    let known = || Dialect::ALL.map(|dialect| dialect.name()).join(", ");
    match Dialect::named(&name.to_lowercase()) {
        Some(dialect) => Ok(Some(dialect)),
        None => Err(wrong("dialect", &format!("must be one of {}", known()))),
    }
}

/// The schema of a request: DDL, or one that the tenant has registered.
async fn schema(
    app: &App,
    caller: &Caller,
    text: &str,
    dialect: Option<Dialect>,
) -> Result<Arc<Ready>, ApiError> {
    let is_ddl = text.to_ascii_uppercase().contains("CREATE TABLE");
    let schemas = app.schemas.clone();
    let (text, tenant) = (text.to_owned(), caller.tenant.clone());
    // Long DDL takes its time, and files may be slow.
    blocking(move || {
        if !is_ddl {
            return Ok(schemas.find(&tenant, text.trim())?);
        }
        Ok(Arc::new(inline(&text, dialect.unwrap_or_default())?))
    })
    .await
}

/// A schema that came with its request.
pub(crate) fn inline(ddl: &str, dialect: Dialect) -> Result<Ready, ApiError> {
    let schema =
        Schema::from_ddl(ddl, dialect).map_err(|error| wrong("schema", &error.to_string()))?;
    Ok(Ready {
        linker: Linker::new(schema.clone(), &Hints::default()),
        registered: Registered {
            name: INLINE.to_owned(),
            schema,
            hints: Hints::default(),
            connection: None,
            execute: false,
        },
    })
}

fn wrong(field: &str, problem: &str) -> ApiError {
    ApiError::Field {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

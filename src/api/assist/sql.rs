//! `POST /ai/sql/assist` and what belongs to it.

pub(crate) mod meaning;
pub(crate) mod schemas;
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
use tracing::info;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, AssistError};
use crate::api::stream::{Frame, Framing, streamed};
use crate::sql::answer::{self, Answer, AnswerError, Question};
use crate::sql::database::{Database, DatabaseError, Limits, Rows};
use crate::sql::guard::Refusal;
use crate::sql::link::{Hints, Linker, Scorer};
use crate::sql::registry::{Ready, Registered, RegistryError};
use crate::sql::resolve::{Problem, resolve};
use crate::sql::statement::{LIMIT_BYTES, parse};
use crate::sql::{Dialect, Schema, SqlError, complete, explain, fix, optimize};

use super::generate::in_time;
use super::{AssistBody, ErrorBody};

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

/// A request with the schema it is about.
struct Task<'a> {
    app: &'a App,
    caller: &'a Caller,
    request: AssistRequest,
    ready: Arc<Ready>,
    database: Option<Box<dyn Database>>,
}

impl<'a> Task<'a> {
    async fn new(
        app: &'a App,
        caller: &'a Caller,
        request: AssistRequest,
    ) -> Result<Task<'a>, ApiError> {
        let dialect = dialect(request.dialect.as_deref())?;
        let ready = schema(app, caller, &request.schema, dialect).await?;
        let own = ready.registered.schema.dialect;
        if dialect.is_some_and(|wanted| wanted != own) {
            let text = format!("must be '{}', as the schema is", own.name());
            return Err(wrong("dialect", &text));
        }
        let execute = request.execute.unwrap_or(false);
        if execute && !ready.registered.execute {
            return Err(ApiError::Forbidden(
                "statements are not run on this schema: register it with a connection and 'execute': true"
                    .to_owned(),
            ));
        }
        let database = match &ready.registered.connection {
            Some(connection) => {
                let name = &ready.registered.name;
                let reach = app.reach();
                Some(
                    app.schemas
                        .database(&caller.tenant, name, connection, &reach)?,
                )
            }
            None => None,
        };
        Ok(Task {
            app,
            caller,
            request,
            ready,
            database,
        })
    }

    fn schema(&self) -> &Schema {
        self.ready.linker.schema()
    }

    fn executes(&self) -> bool {
        self.request.execute.unwrap_or(false)
    }

    async fn generate(&self) -> Result<AssistResponse, ApiError> {
        let answer = self.ask(&self.request.query).await?;
        Ok(self.told(answer.0, answer.1))
    }

    /// The model's checked statement for a question, and the model's name.
    async fn ask(&self, text: &str) -> Result<(Answer, String), ApiError> {
        let model = super::model(self.app, self.request.model.as_deref()).await?;
        let name = model.stored.name.to_string();
        let writer = writer::Model {
            app: self.app,
            caller: self.caller,
            name: name.clone(),
        };
        let linker = &self.ready.linker;
        let meant = meaning::meant(self.app, self.caller, linker, text).await;
        let question = Question {
            text,
            linker,
            scorer: meant.as_ref().map(|meant| meant as &dyn Scorer),
            database: self.database.as_deref(),
            execute: self.executes(),
            limits: Limits::default(),
            candidates: CANDIDATES,
        };
        let answer = answer::answer(question, &writer)
            .await
            .map_err(answer_error)?;
        if let Some(rows) = &answer.rows {
            self.audit(&answer.sql, rows);
        }
        Ok((answer, name))
    }

    /// What a reader gets of an answer.
    fn told(&self, answer: Answer, model: String) -> AssistResponse {
        let mut response = AssistResponse {
            explanation: self.explanation(&answer.sql),
            suggestions: self.suggestions(&answer.sql, None),
            valid: true,
            warnings: answer.warnings,
            tables: answer.resolution.tables.into_iter().collect(),
            columns: answer.resolution.columns.into_iter().collect(),
            model,
            attempts: answer.attempts,
            ..AssistResponse::default()
        };
        if let Some(rows) = answer.rows {
            response.fill(rows);
        }
        response.sql = answer.sql;
        response
    }

    fn explanation(&self, sql: &str) -> String {
        let schema = self.schema();
        explain::explain(sql, schema.dialect, Some(schema))
            .map(|explanation| explanation.text())
            .unwrap_or_default()
    }

    fn suggestions(&self, sql: &str, plan: Option<&str>) -> Vec<String> {
        optimize::optimize(sql, self.schema(), plan)
            .map(|found| found.suggestions())
            .unwrap_or_default()
    }

    async fn explain(&self) -> Result<AssistResponse, ApiError> {
        let sql = self.request.query.trim();
        let schema = self.schema();
        let explanation =
            explain::explain(sql, schema.dialect, Some(schema)).map_err(unreadable)?;
        let mut response = self.checked(sql)?;
        response.explanation = explanation.text();
        response.tables = explanation.tables;
        response.columns = explanation.columns;
        self.run(sql, &mut response).await?;
        Ok(response)
    }

    async fn optimize(&self) -> Result<AssistResponse, ApiError> {
        let sql = self.request.query.trim();
        let plan = self.plan(sql).await?;
        let found = optimize::optimize(sql, self.schema(), plan.as_deref()).map_err(unreadable)?;
        let mut better = sql.to_owned();
        if let Some(rewrite) = found.rewrite()
            && self.is_same(sql, &rewrite).await?
        {
            better = rewrite;
        }
        let mut response = self.checked(&better)?;
        response.explanation = self.explanation(&better);
        response.suggestions = found.suggestions();
        response.warnings.extend(found.warnings());
        self.run(&better, &mut response).await?;
        Ok(response)
    }

    /// How the database would run a statement that only reads.
    async fn plan(&self, sql: &str) -> Result<Option<String>, ApiError> {
        let Some(database) = &self.database else {
            return Ok(None);
        };
        let Ok(readable) = crate::sql::guard::check(sql, self.schema().dialect) else {
            return Ok(None);
        };
        match database.plan(&readable, Limits::default()).await {
            Ok(plan) => Ok(Some(plan)),
            Err(DatabaseError::Statement(_) | DatabaseError::TimedOut(_)) => Ok(None),
            Err(error) => Err(database_error(error)),
        }
    }

    /// Whether a rewrite gives the rows of the statement; without a leave to run them, nobody can say otherwise.
    async fn is_same(&self, sql: &str, rewrite: &str) -> Result<bool, ApiError> {
        let (Some(database), true) = (&self.database, self.ready.registered.execute) else {
            return Ok(true);
        };
        let dialect = self.schema().dialect;
        let both = [sql, rewrite].map(|text| crate::sql::guard::check(text, dialect));
        let [Ok(before), Ok(after)] = both else {
            return Ok(false);
        };
        let limits = Limits::default();
        let before = database.rows(&before, limits).await;
        let after = database.rows(&after, limits).await;
        let sorted = |rows: &Rows| {
            let mut lines: Vec<String> =
                rows.rows.iter().map(|row| json!(row).to_string()).collect();
            lines.sort();
            lines
        };
        Ok(match (before, after) {
            (Ok(before), Ok(after)) => sorted(&before) == sorted(&after),
            // A statement that is too slow to compare is why somebody asks.
            (Err(DatabaseError::TimedOut(_)), _) => true,
            _ => false,
        })
    }

    async fn fix(&self) -> Result<AssistResponse, ApiError> {
        let sql = self.request.query.trim();
        let error = self.request.error.as_deref();
        let found = fix::fix(sql, self.schema(), error);
        if found.problems.is_empty() {
            let mut response = self.checked(sql)?;
            response.explanation = "Nothing is wrong with the statement.".to_owned();
            self.run(sql, &mut response).await?;
            return Ok(response);
        }
        for (number, candidate) in found.candidates.iter().enumerate() {
            if !self.accepts(&candidate.sql).await? {
                continue;
            }
            let mut response = self.checked(&candidate.sql)?;
            response.explanation = sentences(&candidate.changes);
            let others = found.candidates[number + 1..].iter();
            response.suggestions = others.map(|other| other.sql.clone()).collect();
            response.warnings.extend(found.problems.iter().cloned());
            self.run(&candidate.sql, &mut response).await?;
            return Ok(response);
        }
        // Names and form are right: what is meant by such types only its author can say.
        if let Ok(mut response) = self.checked(sql)
            && response.valid
            && response.warnings == found.problems
        {
            response.explanation =
                "Nothing was changed: the warnings tell which types do not go together.".to_owned();
            return Ok(response);
        }
        let reason = found.problems.join("; ");
        let text = format!("Correct this SQL: {sql} ({reason})");
        let (answer, model) = self.ask(&text).await?;
        let mut response = self.told(answer, model);
        response.warnings.extend(found.problems);
        let text = "the statement was written anew: compare it with yours";
        response.warnings.push(text.to_owned());
        Ok(response)
    }

    /// Whether the database would run the statement, where there is one and it only reads.
    async fn accepts(&self, sql: &str) -> Result<bool, ApiError> {
        let Some(database) = &self.database else {
            return Ok(true);
        };
        let Ok(readable) = crate::sql::guard::check(sql, self.schema().dialect) else {
            return Ok(true);
        };
        match database.check(&readable, Limits::default()).await {
            Ok(()) => Ok(true),
            Err(DatabaseError::Statement(_)) => Ok(false),
            Err(error) => Err(database_error(error)),
        }
    }

    async fn complete(&self) -> Result<AssistResponse, ApiError> {
        let query = &self.request.query;
        let end = query.encode_utf16().count();
        let cursor = match self.request.cursor_position {
            Some(at) => usize::try_from(at).unwrap_or(usize::MAX),
            None => end,
        };
        let found =
            complete::complete(query, cursor, self.schema()).map_err(|error| ApiError::Field {
                field: "cursor_position".to_owned(),
                problem: error.to_string(),
            })?;
        Ok(AssistResponse {
            sql: query.clone(),
            suggestions: found.items.iter().map(|item| item.text.clone()).collect(),
            completions: Some(json!(found)),
            ..AssistResponse::default()
        })
    }

    /// A statement with what its names stand for.
    fn checked(&self, sql: &str) -> Result<AssistResponse, ApiError> {
        let statements = parse(sql, self.schema().dialect).map_err(unreadable)?;
        let mut response = AssistResponse {
            sql: sql.to_owned(),
            valid: true,
            ..AssistResponse::default()
        };
        for statement in &statements {
            let found = resolve(statement, self.schema());
            response.valid &= !found.problems.iter().any(Problem::is_about_name);
            let problems = found.problems.iter().map(ToString::to_string);
            response.warnings.extend(problems);
            response.tables.extend(found.tables);
            response.columns.extend(found.columns);
        }
        Ok(response)
    }

    /// Runs a statement if that is wanted.
    async fn run(&self, sql: &str, response: &mut AssistResponse) -> Result<(), ApiError> {
        let (true, Some(database)) = (self.executes(), &self.database) else {
            return Ok(());
        };
        let rows = answer::run::<std::convert::Infallible>(
            sql,
            self.schema(),
            database.as_ref(),
            Limits::default(),
        )
        .await
        .map_err(|error| answer_error(widened(error)))?;
        self.audit(sql, &rows);
        response.fill(rows);
        Ok(())
    }

    /// Who ran how much of what, without any of it.
    fn audit(&self, sql: &str, rows: &Rows) {
        use sha2::Digest;
        let hash = hex::encode(sha2::Sha256::digest(sql.as_bytes()));
        info!(
            tenant = %self.caller.tenant,
            user = self.caller.user.as_deref().unwrap_or_default(),
            schema = %self.ready.registered.name,
            statement = &hash[..16],
            rows = rows.rows.len(),
            "a statement was run"
        );
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

/// Changes in words, as one text.
fn sentences(changes: &[String]) -> String {
    let changes: Vec<String> = changes
        .iter()
        .map(|change| {
            let mut letters = change.chars();
            let first = letters
                .next()
                .map(|letter| letter.to_uppercase().to_string());
            let text = format!("{}{}", first.unwrap_or_default(), letters.as_str());
            if text.ends_with('.') {
                text
            } else {
                text + "."
            }
        })
        .collect();
    changes.join(" ")
}

fn wrong(field: &str, problem: &str) -> ApiError {
    ApiError::Field {
        field: field.to_owned(),
        problem: problem.to_owned(),
    }
}

fn unreadable(error: SqlError) -> ApiError {
    wrong("query", &format!("cannot be read: {error}"))
}

fn answer_error(error: AnswerError<ApiError>) -> ApiError {
    match error {
        AnswerError::Writer(error) => error,
        AnswerError::Refused(refusal) => refused(&refusal),
        AnswerError::Database(error) => database_error(error),
        error @ (AnswerError::Unanswerable(_) | AnswerError::Unsound { .. }) => {
            ApiError::Impossible(error.to_string())
        }
    }
}

fn widened(error: AnswerError<std::convert::Infallible>) -> AnswerError<ApiError> {
    match error {
        AnswerError::Writer(never) => match never {},
        AnswerError::Refused(refusal) => AnswerError::Refused(refusal),
        AnswerError::Database(error) => AnswerError::Database(error),
        AnswerError::Unanswerable(error) => AnswerError::Unanswerable(error),
        AnswerError::Unsound {
            attempts,
            reason,
            nearest,
        } => AnswerError::Unsound {
            attempts,
            reason,
            nearest,
        },
    }
}

fn refused(refusal: &Refusal) -> ApiError {
    ApiError::Forbidden(format!("the statement is not run: {refusal}"))
}

fn database_error(error: DatabaseError) -> ApiError {
    match error {
        DatabaseError::Statement(text) => ApiError::Impossible(format!(
            "the database does not accept the statement: {text}"
        )),
        DatabaseError::NotAllowed => ApiError::Forbidden(error.to_string()),
        DatabaseError::TimedOut(_) => ApiError::Late(error.to_string()),
        DatabaseError::Connect(_) | DatabaseError::Failed(_) => {
            ApiError::Unavailable(error.to_string())
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> ApiError {
        let text = error.to_string();
        match error {
            RegistryError::Unknown { .. } => ApiError::NotFound(text),
            RegistryError::Name(_) | RegistryError::TooMany => ApiError::BadRequest(text),
            RegistryError::NoFolder | RegistryError::NoKey => ApiError::Impossible(text),
            RegistryError::Variable(_) => ApiError::BadRequest(text),
            RegistryError::Address(_) => wrong("connection", &text),
            RegistryError::Database(error) => database_error(error),
            RegistryError::Sealed(_) => ApiError::Unavailable(text),
            RegistryError::Io(_) | RegistryError::Damaged(_) => ApiError::Task,
        }
    }
}

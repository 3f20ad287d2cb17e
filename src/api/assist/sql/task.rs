//! One request, carried out.

use std::sync::Arc;

use serde_json::json;
use tracing::info;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::model;
use crate::api::catalog::blocking;
use crate::api::error::ApiError;
use crate::sql::answer::{self, Answer, AnswerError, Question};
use crate::sql::database::{Database, DatabaseError, Limits, Rows};
use crate::sql::link::Scorer;
use crate::sql::registry::Ready;
use crate::sql::resolve::{Problem, resolve};
use crate::sql::statement::parse;
use crate::sql::{Schema, complete, explain, fix, optimize};

use super::errors::{answer_error, database_error, unreadable};
use super::{AssistRequest, AssistResponse, CANDIDATES, dialect, meaning, schema, writer, wrong};

/// A request with the schema it is about.
pub(super) struct Task<'a> {
    app: &'a App,
    caller: &'a Caller,
    pub(super) request: AssistRequest,
    ready: Arc<Ready>,
    database: Option<Box<dyn Database>>,
}

impl<'a> Task<'a> {
    pub(super) async fn new(
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

    pub(super) async fn generate(&self) -> Result<AssistResponse, ApiError> {
        let answer = self.ask(&self.request.query).await?;
        self.told(answer.0, answer.1).await
    }

    /// What is found out about a statement, away from the threads that serve connections: long ones take their time.
    async fn about<T: Send + 'static>(
        &self,
        sql: &str,
        work: impl FnOnce(&str, &Schema) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let (sql, ready) = (sql.to_owned(), self.ready.clone());
        blocking(move || work(&sql, ready.linker.schema())).await
    }

    /// The model's checked statement for a question, and the model's name.
    async fn ask(&self, text: &str) -> Result<(Answer, String), ApiError> {
        let model = model(self.app, self.request.model.as_deref()).await?;
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
    async fn told(&self, answer: Answer, model: String) -> Result<AssistResponse, ApiError> {
        let (explanation, suggestions) = self
            .about(&answer.sql, |sql, schema| {
                Ok((explanation(sql, schema), suggestions(sql, schema)))
            })
            .await?;
        let mut response = AssistResponse {
            explanation,
            suggestions,
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
        Ok(response)
    }

    pub(super) async fn explain(&self) -> Result<AssistResponse, ApiError> {
        let sql = self.request.query.trim();
        let mut response = self.about(sql, explained).await?;
        self.run(sql, &mut response).await?;
        Ok(response)
    }

    pub(super) async fn optimize(&self) -> Result<AssistResponse, ApiError> {
        let sql = self.request.query.trim();
        let plan = self.plan(sql).await?;
        let found = self
            .about(sql, move |sql, schema| {
                optimize::optimize(sql, schema, plan.as_deref()).map_err(unreadable)
            })
            .await?;
        let mut better = sql.to_owned();
        if let Some(rewrite) = found.rewrite()
            && self.is_same(sql, &rewrite).await?
        {
            better = rewrite;
        }
        let mut response = self
            .about(&better, |sql, schema| {
                let mut response = checked(sql, schema)?;
                response.explanation = explanation(sql, schema);
                Ok(response)
            })
            .await?;
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

    pub(super) async fn fix(&self) -> Result<AssistResponse, ApiError> {
        let sql = self.request.query.trim();
        let error = self.request.error.clone();
        let found = self
            .about(sql, move |sql, schema| {
                Ok(fix::fix(sql, schema, error.as_deref()))
            })
            .await?;
        if found.problems.is_empty() {
            let mut response = self.about(sql, checked).await?;
            response.explanation = "Nothing is wrong with the statement.".to_owned();
            self.run(sql, &mut response).await?;
            return Ok(response);
        }
        for (number, candidate) in found.candidates.iter().enumerate() {
            if !self.accepts(&candidate.sql).await? {
                continue;
            }
            let mut response = self.about(&candidate.sql, checked).await?;
            response.explanation = sentences(&candidate.changes);
            let others = found.candidates[number + 1..].iter();
            response.suggestions = others.map(|other| other.sql.clone()).collect();
            response.warnings.extend(found.problems.iter().cloned());
            self.run(&candidate.sql, &mut response).await?;
            return Ok(response);
        }
        // Names and form are right: what is meant by such types only its author can say.
        if let Ok(mut response) = self.about(sql, checked).await
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
        let mut response = self.told(answer, model).await?;
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

    pub(super) async fn complete(&self) -> Result<AssistResponse, ApiError> {
        let query = &self.request.query;
        let end = query.encode_utf16().count();
        let cursor = match self.request.cursor_position {
            Some(at) => usize::try_from(at).unwrap_or(usize::MAX),
            None => end,
        };
        let found = self
            .about(query, move |query, schema| {
                complete::complete(query, cursor, schema)
                    .map_err(|error| wrong("cursor_position", &error.to_string()))
            })
            .await?;
        Ok(AssistResponse {
            sql: query.clone(),
            suggestions: found.items.iter().map(|item| item.text.clone()).collect(),
            completions: Some(json!(found)),
            ..AssistResponse::default()
        })
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

/// A statement with what its names stand for.
fn checked(sql: &str, schema: &Schema) -> Result<AssistResponse, ApiError> {
    let statements = parse(sql, schema.dialect).map_err(unreadable)?;
    let mut response = AssistResponse {
        sql: sql.to_owned(),
        valid: true,
        ..AssistResponse::default()
    };
    for statement in &statements {
        let found = resolve(statement, schema);
        response.valid &= !found.problems.iter().any(Problem::is_about_name);
        let problems = found.problems.iter().map(ToString::to_string);
        response.warnings.extend(problems);
        response.tables.extend(found.tables);
        response.columns.extend(found.columns);
    }
    Ok(response)
}

fn explained(sql: &str, schema: &Schema) -> Result<AssistResponse, ApiError> {
    let explanation = explain::explain(sql, schema.dialect, Some(schema)).map_err(unreadable)?;
    let mut response = checked(sql, schema)?;
    response.explanation = explanation.text();
    response.tables = explanation.tables;
    response.columns = explanation.columns;
    Ok(response)
}

fn explanation(sql: &str, schema: &Schema) -> String {
    explain::explain(sql, schema.dialect, Some(schema))
        .map(|explanation| explanation.text())
        .unwrap_or_default()
}

fn suggestions(sql: &str, schema: &Schema) -> Vec<String> {
    optimize::optimize(sql, schema, None)
        .map(|found| found.suggestions())
        .unwrap_or_default()
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

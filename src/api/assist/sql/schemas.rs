//! `/ai/sql/schemas`: what a tenant has registered.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::{AssistBody, ErrorBody};
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, AssistError};
use crate::sql::Schema;
use crate::sql::link::{Example, Hints};
use crate::sql::registry::{Connection, Registered, RegistryError, is_name};

use super::errors::database_error;
use super::{dialect, wrong};

/// Descriptions and examples at most, and the longest of them in bytes.
const HINTS: (usize, usize) = (5_000, 2_000);

/// A schema: DDL, or a database to read it from.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"ddl": "CREATE TABLE users (id int PRIMARY KEY, status text);", "dialect": "postgres",
    "descriptions": {"users.status": "active or gone"}}))]
pub(crate) struct PutRequest {
    /// `CREATE TABLE` statements.
    ddl: Option<String>,
    /// Whose SQL they are: postgres (as it is if absent), mysql, sqlite, duckdb, mssql or bigquery.
    dialect: Option<String>,
    /// `postgres://…`, `sqlite:…`, or `env:WICK_SQL_…` for a variable of the server that holds one for the tenant.
    connection: Option<String>,
    /// What `table` or `table.column` is about.
    #[serde(default)]
    descriptions: Option<BTreeMap<String, String>>,
    /// Questions with statements that answer them.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    examples: Option<Vec<Example>>,
    /// Whether statements may be run; needs a connection.
    execute: Option<bool>,
    /// Whether a few harmless values may be read from the database, for the model to know them.
    samples: Option<bool>,
}

/// A registered schema. Where its database is stays untold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchemaResponse {
    /// Its name.
    name: String,
    /// Whose SQL it is.
    dialect: &'static str,
    /// Whether it came from a database that statements are checked with.
    connected: bool,
    /// Whether statements may be run.
    execute: bool,
    /// Its tables with their columns and keys.
    #[schema(value_type = Vec<Object>)]
    tables: Value,
    /// What `table` or `table.column` is about.
    descriptions: BTreeMap<String, String>,
    /// Questions with statements that answer them.
    #[schema(value_type = Vec<Object>)]
    examples: Vec<Example>,
}

/// Names of registered schemas.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListResponse {
    /// In order.
    schemas: Vec<String>,
}

impl From<&Registered> for SchemaResponse {
    fn from(registered: &Registered) -> Self {
        SchemaResponse {
            name: registered.name.clone(),
            dialect: registered.schema.dialect.name(),
            connected: registered.connection.is_some(),
            execute: registered.execute,
            tables: serde_json::json!(registered.schema.tables),
            descriptions: registered.hints.descriptions.clone(),
            examples: registered.hints.examples.clone(),
        }
    }
}

/// The tenant's schemas.
#[utoipa::path(get, path = "/ai/sql/schemas", tag = "sql", responses(
    (status = 200, description = "Their names", body = ListResponse),
    (status = 401, description = "No or bad credentials", body = ErrorBody)))]
pub(crate) async fn list(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ListResponse>, AssistError> {
    let names = blocking(move || Ok(app.schemas.names(&caller.tenant)?));
    Ok(Json(ListResponse {
        schemas: names.await?,
    }))
}

/// One of the tenant's schemas.
#[utoipa::path(get, path = "/ai/sql/schemas/{name}", tag = "sql", responses(
    (status = 200, description = "The schema", body = SchemaResponse),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such schema", body = ErrorBody)))]
pub(crate) async fn show(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Json<SchemaResponse>, AssistError> {
    let found = blocking(move || Ok(app.schemas.find(&caller.tenant, &name)?)).await?;
    Ok(Json(SchemaResponse::from(&found.registered)))
}

/// Registers a schema, in the place of one of the same name.
#[utoipa::path(put, path = "/ai/sql/schemas/{name}", tag = "sql", request_body = PutRequest, responses(
    (status = 200, description = "The schema as it was understood", body = SchemaResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 403, description = "The database's host may not be connected to", body = ErrorBody),
    (status = 503, description = "The database cannot be reached", body = ErrorBody)))]
pub(crate) async fn put(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    AssistBody(request): AssistBody<PutRequest>,
) -> Result<Json<SchemaResponse>, AssistError> {
    if !is_name(&name) {
        return Err(RegistryError::Name(name).into());
    }
    let hints = hints(&request)?;
    let execute = request.execute.unwrap_or(false);
    let (schema, connection) = read(&app, &caller, &name, request).await?;
    if execute && connection.is_none() {
        return Err(wrong("execute", "needs a connection").into());
    }
    let registered = Registered {
        name,
        schema,
        hints,
        connection,
        execute,
    };
    let kept = blocking(move || Ok(app.schemas.keep(&caller.tenant, registered)?)).await?;
    Ok(Json(SchemaResponse::from(&kept.registered)))
}

/// Forgets a schema.
#[utoipa::path(delete, path = "/ai/sql/schemas/{name}", tag = "sql", responses(
    (status = 204, description = "It is gone"),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such schema", body = ErrorBody)))]
pub(crate) async fn remove(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, AssistError> {
    blocking(move || Ok(app.schemas.remove(&caller.tenant, &name)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn hints(request: &PutRequest) -> Result<Hints, ApiError> {
    let hints = Hints {
        descriptions: request.descriptions.clone().unwrap_or_default(),
        examples: request.examples.clone().unwrap_or_default(),
    };
    let (most, longest) = HINTS;
    let is_long = |text: &String| text.len() > longest;
    if hints.descriptions.len() > most || hints.descriptions.values().any(is_long) {
        let text = format!("must be at most {most}, of {longest} bytes each");
        return Err(wrong("descriptions", &text));
    }
    let mut examples = hints.examples.iter();
    if hints.examples.len() > most
        || examples.any(|example| is_long(&example.question) || is_long(&example.sql))
    {
        let text = format!("must be at most {most}, of {longest} bytes each");
        return Err(wrong("examples", &text));
    }
    Ok(hints)
}

async fn read(
    app: &App,
    caller: &Caller,
    name: &str,
    request: PutRequest,
) -> Result<(Schema, Option<Connection>), ApiError> {
    let dialect = dialect(request.dialect.as_deref())?;
    match (request.ddl, request.connection) {
        (None, Some(text)) => {
            let (connection, database) =
                app.schemas
                    .connection(&caller.tenant, name, &text, &app.reach())?;
            let schema = database.introspect(request.samples.unwrap_or(false)).await;
            let schema = schema.map_err(database_error)?;
            if schema.tables.is_empty() {
                let text = "leads to a database without a table that may be read";
                return Err(wrong("connection", text));
            }
            Ok((schema, Some(connection)))
        }
        (Some(ddl), connection) => {
            let read = move || {
                Schema::from_ddl(&ddl, dialect.unwrap_or_default())
                    .map_err(|error| wrong("ddl", &error.to_string()))
            };
            let schema = blocking(read).await?;
            let connection = match connection {
                Some(text) => {
                    let (connection, database) =
                        app.schemas
                            .connection(&caller.tenant, name, &text, &app.reach())?;
                    database.reach().await.map_err(database_error)?;
                    if database.dialect() != schema.dialect {
                        return Err(wrong("dialect", "is not that of the connection"));
                    }
                    Some(connection)
                }
                None => None,
            };
            Ok((schema, connection))
        }
        (None, None) => Err(wrong("ddl", "is required, or 'connection'")),
    }
}

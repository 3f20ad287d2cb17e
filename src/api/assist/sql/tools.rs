//! What is made of schemas: documents, rows to try them with, migrations.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::access::Caller;
use crate::api::App;
use crate::api::assist::{AssistBody, ErrorBody, in_time, within};
use crate::api::catalog::blocking;
use crate::api::error::{ApiError, AssistError};
use crate::sql::{Schema, document, migrate, testdata};

use super::{dialect, schema, wrong};

/// Rows of each table where the request names no number.
const ROWS: u32 = 10;

/// A schema to describe.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"schema": "CREATE TABLE users (id int PRIMARY KEY, name text);"}))]
pub(crate) struct DocumentRequest {
    /// Name of a registered schema, or DDL.
    schema: String,
    /// Whose SQL it is, if it is DDL.
    dialect: Option<String>,
}

/// A description.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DocumentResponse {
    /// In Markdown.
    markdown: String,
}

/// A schema as a document.
#[utoipa::path(post, path = "/ai/sql/document", tag = "sql", request_body = DocumentRequest, responses(
    (status = 200, description = "The document", body = DocumentResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such schema", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn document(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<DocumentRequest>,
) -> Result<Json<DocumentResponse>, AssistError> {
    let dialect = dialect(request.dialect.as_deref())?;
    let work = async {
        let ready = schema(&app, &caller, &request.schema, dialect).await?;
        blocking(move || Ok(document::document(ready.linker.schema()))).await
    };
    let markdown = in_time(app.config.assist_timeout, work).await?;
    Ok(Json(DocumentResponse { markdown }))
}

/// A schema to fill.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"schema": "CREATE TABLE users (id int PRIMARY KEY, name text);", "rows": 3}))]
pub(crate) struct TestDataRequest {
    /// Name of a registered schema, or DDL.
    schema: String,
    /// Whose SQL it is, if it is DDL.
    dialect: Option<String>,
    /// Rows of each table (10, at most 10000; fewer where the tables have very many columns).
    rows: Option<u32>,
    /// The same seed gives the same rows.
    seed: Option<u64>,
}

/// Rows to try a schema with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TestDataResponse {
    /// `INSERT` statements, in an order that foreign keys accept.
    sql: String,
    /// What could not be done.
    warnings: Vec<String>,
}

/// Rows that a schema's types, keys and checks accept.
#[utoipa::path(post, path = "/ai/sql/testdata", tag = "sql", request_body = TestDataRequest, responses(
    (status = 200, description = "The statements", body = TestDataResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 404, description = "No such schema", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn testdata(
    State(app): State<App>,
    Extension(caller): Extension<Caller>,
    AssistBody(request): AssistBody<TestDataRequest>,
) -> Result<Json<TestDataResponse>, AssistError> {
    let seed = request.seed.unwrap_or(1);
    let dialect = dialect(request.dialect.as_deref())?;
    let work = async {
        let ready = schema(&app, &caller, &request.schema, dialect).await?;
        let rows = rows(request.rows, ready.linker.schema())?;
        blocking(move || Ok(testdata::testdata(ready.linker.schema(), rows, seed))).await
    };
    let made = in_time(app.config.assist_timeout, work).await?;
    Ok(Json(TestDataResponse {
        sql: made.statements.join("\n"),
        warnings: made.warnings,
    }))
}

/// Rows of each table: as many as are asked for, if the schema can have them.
fn rows(wanted: Option<u32>, schema: &Schema) -> Result<usize, ApiError> {
    let most = u32::try_from(testdata::most_rows(schema)).unwrap_or(u32::MAX);
    let rows = within("rows", wanted.unwrap_or(ROWS.min(most)), 1, most)?;
    Ok(rows as usize)
}

/// Two schemas.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({"from_ddl": "CREATE TABLE t (id int);", "to_ddl": "CREATE TABLE t (id int, name text);",
    "dialect": "postgres"}))]
pub(crate) struct MigrateRequest {
    /// As it is.
    from_ddl: String,
    /// As it should be.
    to_ddl: String,
    /// Whose SQL they are; absent: postgres.
    dialect: Option<String>,
}

/// How to get from one schema to the other.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MigrateResponse {
    /// Statements that make the change, in order.
    statements: Vec<String>,
    /// Statements that take it back, in order.
    reverse: Vec<String>,
    /// What may be lost or fail.
    warnings: Vec<String>,
}

/// The statements between two schemas.
#[utoipa::path(post, path = "/ai/sql/migrate", tag = "sql", request_body = MigrateRequest, responses(
    (status = 200, description = "The statements, there and back", body = MigrateResponse),
    (status = 400, description = "A field is missing or wrong", body = ErrorBody),
    (status = 401, description = "No or bad credentials", body = ErrorBody),
    (status = 504, description = "It took too long", body = ErrorBody)))]
pub(crate) async fn migrate(
    State(app): State<App>,
    AssistBody(request): AssistBody<MigrateRequest>,
) -> Result<Json<MigrateResponse>, AssistError> {
    let dialect = dialect(request.dialect.as_deref())?.unwrap_or_default();
    let made = move || {
        migrate::migrate(&request.from_ddl, &request.to_ddl, dialect)
            .map_err(|error| wrong("from_ddl or to_ddl", &error.to_string()))
    };
    let made = in_time(app.config.assist_timeout, blocking(made)).await?;
    Ok(Json(MigrateResponse {
        statements: made.up,
        reverse: made.down,
        warnings: made.warnings,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Dialect;

    #[test]
    fn wide_schemas_get_fewer_rows() {
        let columns: Vec<String> = (0..1_000).map(|at| format!("c{at} int")).collect();
        let ddl = format!("CREATE TABLE t ({});", columns.join(", "));
        let wide = Schema::from_ddl(&ddl, Dialect::Postgres).unwrap();
        assert_eq!(rows(None, &wide).unwrap(), 10);
        assert_eq!(rows(Some(1_000), &wide).unwrap(), 1_000);
        assert_eq!(
            rows(Some(1_001), &wide).unwrap_err().to_string(),
            "field 'rows' must be from 1 to 1000"
        );
        assert_eq!(
            rows(Some(0), &Schema::default()).unwrap_err().to_string(),
            "field 'rows' must be from 1 to 10000"
        );
    }
}

//! PostgreSQL: one connection for each statement, in a transaction that can only read.

mod catalog;
mod scratch;
mod values;

use std::future::Future;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::sql::guard::Readable;
use crate::sql::{Dialect, Schema};

use super::{ColumnMeta, Database, DatabaseError, Limits, Rows, Work};

pub use scratch::Scratch;

/// Time for getting in.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for reading what a database holds.
const INTROSPECTION: Duration = Duration::from_secs(20);
/// Rows fetched at a time.
const FETCH: usize = 100;

/// A PostgreSQL database.
pub(super) struct Postgres {
    config: Config,
}

impl Postgres {
    pub(super) fn new(mut config: Config) -> Self {
        config.application_name("wick").connect_timeout(CONNECT);
        Self { config }
    }

    /// A connection whose transaction can only read, and ends on the server when its time is over.
    async fn connect(&self, time: Duration) -> Result<Client, DatabaseError> {
        let late = |_| DatabaseError::Connect("it does not answer".to_owned());
        let client = timeout(CONNECT + Duration::from_secs(1), self.client())
            .await
            .map_err(late)??;
        let time_ms = time.as_millis();
        let begin = format!(
            "SET default_transaction_read_only = on; BEGIN TRANSACTION READ ONLY; \
             SET LOCAL statement_timeout = {time_ms}; SET LOCAL lock_timeout = 1000; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            time_ms + 5_000
        );
        client.batch_execute(&begin).await.map_err(failed)?;
        Ok(client)
    }

    async fn client(&self) -> Result<Client, DatabaseError> {
        let is_local = |host: &Host| matches!(host, Host::Unix(_));
        let is_plain = self.config.get_ssl_mode() == SslMode::Disable
            || self.config.get_hosts().iter().all(is_local);
        if is_plain {
            let (client, connection) = self
                .config
                .connect(NoTls)
                .await
                .map_err(|error| unreachable_by(&error))?;
            tokio::spawn(connection.map(drop));
            return Ok(client);
        }
        // A second installation is refused, and the first one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = ClientConfig::with_platform_verifier()
            .map_err(|_| DatabaseError::Connect("no certificates to trust".to_owned()))?;
        let (client, connection) = self
            .config
            .connect(MakeRustlsConnect::new(tls))
            .await
            .map_err(|error| unreachable_by(&error))?;
        // Ends when the client is dropped.
        tokio::spawn(connection.map(drop));
        Ok(client)
    }
}

/// Work in a transaction; a little later than the server would break it off, it is broken off here.
async fn in_time<T>(
    limits: Limits,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, DatabaseError> {
    let late = DatabaseError::TimedOut(limits.time.as_millis());
    match timeout(limits.time + Duration::from_secs(1), work).await {
        Err(_) => Err(late),
        Ok(Err(error)) if error.code() == Some(&SqlState::QUERY_CANCELED) => Err(late),
        Ok(done) => done.map_err(|error| refused(&error)),
    }
}

impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn introspect(&self, samples: bool) -> Work<'_, Schema> {
        async move {
            let limits = Limits {
                time: INTROSPECTION,
                ..Limits::default()
            };
            let client = self.connect(limits.time).await?;
            in_time(limits, catalog::read(&client, samples)).await
        }
        .boxed()
    }

    fn check<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, ()> {
        async move {
            let client = self.connect(limits.time).await?;
            in_time(limits, client.prepare(statement.sql()))
                .await
                .map(drop)
        }
        .boxed()
    }

    fn plan<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, String> {
        async move {
            let client = self.connect(limits.time).await?;
            in_time(limits, explained(&client, statement.sql())).await
        }
        .boxed()
    }

    fn rows<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, Rows> {
        async move {
            let client = self.connect(limits.time).await?;
            in_time(limits, fetch(&client, statement.sql(), &limits)).await
        }
        .boxed()
    }
}

async fn explained(client: &Client, sql: &str) -> Result<String, Error> {
    // Preparing refuses a second statement, whatever the text.
    client.prepare(sql).await?;
    let messages = client
        .simple_query(&format!("EXPLAIN (FORMAT JSON) {sql}"))
        .await?;
    let lines = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// Rows through a cursor, which PostgreSQL makes for nothing but a query; values as text, read by their types.
async fn fetch(client: &Client, sql: &str, limits: &Limits) -> Result<Rows, Error> {
    let prepared = client.prepare(sql).await?;
    let types: Vec<_> = prepared
        .columns()
        .iter()
        .map(|column| column.type_().clone())
        .collect();
    let columns = prepared.columns().iter().map(|column| ColumnMeta {
        name: column.name().to_owned(),
        type_name: column.type_().name().to_owned(),
    });
    let mut found = Rows {
        columns: columns.collect(),
        ..Rows::default()
    };
    let cursor = format!("DECLARE wick_rows NO SCROLL CURSOR FOR {sql}");
    client.simple_query(&cursor).await?;
    let mut bytes = 0;
    loop {
        let wanted = FETCH.min(limits.rows + 1 - found.rows.len().min(limits.rows));
        let fetch = format!("FETCH FORWARD {wanted} FROM wick_rows");
        let messages = client.simple_query(&fetch).await?;
        let mut count = 0;
        for message in &messages {
            let SimpleQueryMessage::Row(row) = message else {
                continue;
            };
            count += 1;
            let cells = types.iter().enumerate();
            let cells = cells
                .map(|(at, kind)| values::value(row.get(at), kind))
                .collect();
            if !found.add(cells, &mut bytes, limits) {
                return Ok(found);
            }
        }
        if count < wanted {
            return Ok(found);
        }
    }
}

/// What the server says of a statement: its message, without rows.
fn refused(error: &Error) -> DatabaseError {
    match error.as_db_error() {
        Some(said) if *said.code() == SqlState::READ_ONLY_SQL_TRANSACTION => {
            DatabaseError::Statement("the statement would write".to_owned())
        }
        Some(said) => {
            let hint = said
                .hint()
                .map(|hint| format!(" ({hint})"))
                .unwrap_or_default();
            DatabaseError::Statement(format!("{}{hint}", said.message()))
        }
        None => DatabaseError::Failed("the connection broke".to_owned()),
    }
}

fn failed(error: Error) -> DatabaseError {
    match error.as_db_error() {
        Some(said) => DatabaseError::Failed(said.message().to_owned()),
        None => DatabaseError::Failed("the connection broke".to_owned()),
    }
}

/// Why nobody is let in, without naming the user, the host or the database.
fn unreachable_by(error: &Error) -> DatabaseError {
    let reason = match error.code() {
        Some(code)
            if *code == SqlState::INVALID_PASSWORD
                || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION =>
        {
            "it does not accept the credentials"
        }
        Some(code) if *code == SqlState::INVALID_CATALOG_NAME => "it has no such database",
        Some(_) => "it does not let us in",
        None => "there is no connection, or no TLS",
    };
    DatabaseError::Connect(reason.to_owned())
}

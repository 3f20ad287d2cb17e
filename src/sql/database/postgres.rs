//! PostgreSQL: one connection for each statement, in a transaction that can only read.

mod catalog;
mod scratch;
mod values;
mod wire;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt;
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::sql::guard::Readable;
use crate::sql::{Dialect, Schema};

use super::{ColumnMeta, Database, DatabaseError, Limits, Reach, Rows, Work};
use wire::{Meter, Metered};

pub use scratch::Scratch;

/// Time for getting in.
const CONNECT: Duration = Duration::from_secs(5);
/// Time for reading what a database holds.
const INTROSPECTION: Duration = Duration::from_secs(20);
/// Rows fetched at a time.
const FETCH: usize = 100;
/// Port of servers whose address names none.
const PORT: u16 = 5432;
/// Bytes that a statement's answer may take on its way; what is shown of it is bounded far below.
const ANSWER_BYTES: usize = 16 << 20;
/// Bytes that the description of a database may take.
const CATALOG_BYTES: usize = 64 << 20;
/// What a session may take, as far as the server knows these settings and lets us.
const SHARE: &str = "
    SELECT pg_catalog.set_config(s.name, v.value, true)
    FROM (VALUES ('work_mem', '16MB'), ('hash_mem_multiplier', '1'), ('max_parallel_workers_per_gather', '0'),
                 ('temp_file_limit', '256MB')) AS v (name, value)
    JOIN pg_catalog.pg_settings AS s ON s.name = v.name
    WHERE s.context = 'user' OR pg_catalog.current_setting('is_superuser') = 'on'";

/// A PostgreSQL database.
pub(super) struct Postgres {
    config: Config,
    reach: Reach,
}

/// A connection whose transaction can only read.
struct Session {
    client: Client,
    meter: Meter,
    time: Duration,
}

impl Postgres {
    pub(super) fn new(mut config: Config, reach: Reach) -> Self {
        config.application_name("wick");
        Self { config, reach }
    }

    /// A connection whose transaction can only read, and ends on the server when its time is over.
    async fn connect(&self, time: Duration, most_bytes: usize) -> Result<Session, DatabaseError> {
        let late = |_| DatabaseError::Connect("it does not answer".to_owned());
        let meter = Meter::new(most_bytes);
        let begin = async {
            let client = self.client(&meter).await?;
            let begun = client.batch_execute(&beginning(time)).await;
            begun.map(|()| client).map_err(failed)
        };
        let client = timeout(CONNECT, begin).await.map_err(late)??;
        Ok(Session {
            client,
            meter,
            time,
        })
    }

    async fn client(&self, meter: &Meter) -> Result<Client, DatabaseError> {
        let (wire, host) = self.wire(meter).await?;
        if self.config.get_ssl_mode() == SslMode::Disable || matches!(host, Host::Unix(_)) {
            return self.signed_in(wire, NoTls, host).await;
        }
        // A second installation is refused, and the first one serves.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = ClientConfig::with_platform_verifier()
            .map_err(|_| DatabaseError::Connect("no certificates to trust".to_owned()))?;
        self.signed_in(wire, MakeRustlsConnect::new(tls), host)
            .await
    }

    async fn signed_in<T>(
        &self,
        wire: Metered,
        mut tls: T,
        host: &Host,
    ) -> Result<Client, DatabaseError>
    where
        T: MakeTlsConnect<Metered>,
        T::Stream: Send + 'static,
    {
        let name = match host {
            Host::Tcp(name) => name.as_str(),
            Host::Unix(_) => "",
        };
        let no_tls = |_| DatabaseError::Connect("there is no connection, or no TLS".to_owned());
        let tls = tls.make_tls_connect(name).map_err(|e| no_tls(e.into()))?;
        let (client, connection) = self
            .config
            .connect_raw(wire, tls)
            .await
            .map_err(|error| unreachable_by(&error))?;
        // Ends when the client is dropped.
        tokio::spawn(connection.map(drop));
        Ok(client)
    }

    /// The first of the address's hosts that can be connected to.
    async fn wire(&self, meter: &Meter) -> Result<(Metered, &Host), DatabaseError> {
        let mut last = DatabaseError::Connect("there is no connection, or no TLS".to_owned());
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            let port = self.port(at);
            let wire = match host {
                Host::Unix(folder) => {
                    self.sockets_allowed(folder)?;
                    UnixStream::connect(folder.join(format!(".s.PGSQL.{port}")))
                        .await
                        .map(|stream| Metered::new(stream, meter))
                }
                Host::Tcp(name) => {
                    let addresses = self.addresses(name, port).await?;
                    // What was looked at is what is connected to: the name is not asked again.
                    let stream = TcpStream::connect(addresses.as_slice()).await;
                    stream.and_then(|stream| {
                        stream.set_nodelay(true)?;
                        Ok(Metered::new(stream, meter))
                    })
                }
            };
            match wire {
                Ok(wire) => return Ok((wire, host)),
                Err(error) => last = no_connection(&error),
            }
        }
        Err(last)
    }

    fn port(&self, at: usize) -> u16 {
        let ports = self.config.get_ports();
        *ports.get(at).or(ports.first()).unwrap_or(&PORT)
    }

    fn sockets_allowed(&self, folder: &Path) -> Result<(), DatabaseError> {
        match self.reach.holds_sockets(folder) {
            true => Ok(()),
            false => Err(DatabaseError::NotAllowed),
        }
    }

    /// Where a name leads, as far as that may be connected to.
    async fn addresses(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, DatabaseError> {
        let unknown = |_| DatabaseError::Connect("its name leads nowhere".to_owned());
        let found = lookup_host((name, port)).await.map_err(unknown)?;
        let (allowed, others): (Vec<SocketAddr>, Vec<SocketAddr>) =
            found.partition(|address| self.reach.holds(name, address.ip(), port));
        match allowed.is_empty() && !others.is_empty() {
            true => Err(DatabaseError::NotAllowed),
            false => Ok(allowed),
        }
    }
}

/// How a session begins: it reads, and takes its share of time and memory at most. A backslash in a string is one, as the
/// guard reads it: addresses and roles may say otherwise, and what the guard took for a string would be code. Whoever
/// signs in may set all of this but the limit of temporary files, which is for superusers.
fn beginning(time: Duration) -> String {
    let time_ms = time.as_millis();
    format!(
        "SET default_transaction_read_only = on; BEGIN TRANSACTION READ ONLY; \
         SET LOCAL standard_conforming_strings = on; \
         SET LOCAL statement_timeout = {time_ms}; SET LOCAL lock_timeout = 1000; \
         SET LOCAL idle_in_transaction_session_timeout = {}; {SHARE}",
        time_ms + 5_000
    )
}

impl Session {
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, DatabaseError> {
        in_time(self.time, &self.meter, work).await
    }
}

/// Work in a transaction; a little later than the server would break it off, it is broken off here.
async fn in_time<T>(
    time: Duration,
    meter: &Meter,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, DatabaseError> {
    let late = DatabaseError::TimedOut(time.as_millis());
    match timeout(time + Duration::from_secs(1), work).await {
        Err(_) => Err(late),
        Ok(Err(error)) if error.code() == Some(&SqlState::QUERY_CANCELED) => Err(late),
        Ok(Err(_)) if meter.is_over() => Err(DatabaseError::Statement(
            "its rows are larger than answers may be".to_owned(),
        )),
        Ok(done) => done.map_err(|error| refused(&error)),
    }
}

impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn reach(&self) -> Work<'_, ()> {
        async move {
            for (at, host) in self.config.get_hosts().iter().enumerate() {
                match host {
                    Host::Unix(folder) => self.sockets_allowed(folder)?,
                    Host::Tcp(name) => {
                        let found = timeout(CONNECT, self.addresses(name, self.port(at))).await;
                        let late = |_| DatabaseError::Connect("its name leads nowhere".to_owned());
                        found.map_err(late)??;
                    }
                }
            }
            Ok(())
        }
        .boxed()
    }

    fn introspect(&self, samples: bool) -> Work<'_, Schema> {
        async move {
            let session = self.connect(INTROSPECTION, CATALOG_BYTES).await?;
            session
                .in_time(catalog::read(&session.client, samples))
                .await
        }
        .boxed()
    }

    fn check<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, ()> {
        async move {
            let session = self.connect(limits.time, ANSWER_BYTES).await?;
            session
                .in_time(session.client.prepare(statement.sql()))
                .await
                .map(drop)
        }
        .boxed()
    }

    fn plan<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, String> {
        async move {
            let session = self.connect(limits.time, ANSWER_BYTES).await?;
            session
                .in_time(explained(&session.client, statement.sql()))
                .await
        }
        .boxed()
    }

    fn rows<'a>(&'a self, statement: &'a Readable, limits: Limits) -> Work<'a, Rows> {
        async move {
            let session = self.connect(limits.time, ANSWER_BYTES).await?;
            session
                .in_time(fetch(&session.client, statement.sql(), &limits))
                .await
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

/// Why a server is not there; the system's words would tell where it was looked for.
fn no_connection(error: &io::Error) -> DatabaseError {
    let reason = match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => "nothing listens there",
        _ => "there is no connection, or no TLS",
    };
    DatabaseError::Connect(reason.to_owned())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn database(reach: &str) -> Postgres {
        let config = "postgres://me@localhost/shop".parse().unwrap();
        Postgres::new(config, reach.parse().unwrap())
    }

    #[tokio::test]
    async fn of_where_a_name_leads_only_what_is_allowed_is_left() {
        let found = database("127.0.0.1").addresses("localhost", 5432).await;
        let found = found.unwrap();
        assert_eq!(found, ["127.0.0.1:5432".parse::<SocketAddr>().unwrap()]);
        for list in ["public", "127.0.0.1:5433", "db.example", "/tmp"] {
            let found = database(list).addresses("localhost", 5432).await;
            assert_eq!(found, Err(DatabaseError::NotAllowed), "{list}");
            assert_eq!(database(list).reach().await, Err(DatabaseError::NotAllowed));
        }
        let by_name = database("localhost").addresses("localhost", 5432).await;
        assert!(!by_name.unwrap().is_empty());
    }
}

//! Tables for one connection alone, to try statements on: nobody else sees them, and they go with the
//! connection.

use tokio_postgres::Client;

use crate::sql::guard::Readable;

use super::super::{Address, DatabaseError, Limits, Reach, Rows};
use super::wire::Meter;
use super::{Postgres, failed, fetch, in_time};

/// A connection to PostgreSQL whose own tables are all that its statements name.
pub struct Scratch {
    client: Client,
    meter: Meter,
}

impl Scratch {
    /// Connects. The user needs the right to make temporary tables, as everybody has unless it was taken.
    ///
    /// # Errors
    /// A database that is no PostgreSQL or does not let us in.
    pub async fn open(address: &Address) -> Result<Scratch, DatabaseError> {
        let Address::Postgres(config) = address else {
            let reason = "scratch tables need PostgreSQL".to_owned();
            return Err(DatabaseError::Connect(reason));
        };
        // Whoever starts the evaluation says where, and many statements share the connection.
        let meter = Meter::new(usize::MAX);
        let postgres = Postgres::new((**config).clone(), Reach::anywhere());
        let client = postgres.client(&meter).await?;
        // What is created without a schema's name is temporary then, and strings are read as the guard reads them.
        let setup =
            "SET search_path = pg_temp; SET timezone = 'UTC'; SET standard_conforming_strings = on";
        client.batch_execute(setup).await.map_err(failed)?;
        Ok(Scratch { client, meter })
    }

    /// Runs statements of our own that make tables and fill them.
    ///
    /// # Errors
    /// A statement that the database does not accept.
    pub async fn prepare(&self, statements: &str) -> Result<(), DatabaseError> {
        self.client.batch_execute(statements).await.map_err(failed)
    }

    /// Runs a statement that only reads; whatever it does is taken back.
    ///
    /// # Errors
    /// A statement that the database does not accept, or that takes too long.
    pub async fn rows(&self, statement: &Readable, limits: Limits) -> Result<Rows, DatabaseError> {
        let time_ms = limits.time.as_millis();
        let begin = format!("BEGIN TRANSACTION READ ONLY; SET LOCAL statement_timeout = {time_ms}");
        self.client.batch_execute(&begin).await.map_err(failed)?;
        let rows = in_time(
            limits.time,
            &self.meter,
            fetch(&self.client, statement.sql(), &limits),
        )
        .await;
        self.client
            .batch_execute("ROLLBACK")
            .await
            .map_err(failed)?;
        rows
    }
}

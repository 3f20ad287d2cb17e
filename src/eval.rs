//! How well a model does what wick's assistants ask of it: SQL that is run, answers that cite, code that parses.
//!
//! The cases ship with wick (`models/starter/eval`); whoever calls brings a [`Writer`] that knows how to ask a
//! model. Nothing here knows HTTP or weights.

mod answers;
mod cases;
mod code;
mod explain;
mod questions;
mod random_rows;
pub mod retrieval;
mod soundness;
mod sql;

use std::future::Future;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Serialize;

use crate::sql::database::{Address, DatabaseError};
use crate::sql::{Dialect, SqlError};

/// Cases asked at a time: the engine decodes that many together.
const TOGETHER: usize = 4;

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// A schema and a question to one SQL statement, run against random rows.
    Sql,
    /// The same for questions that people wrote over three schemas; they are run on PostgreSQL.
    Questions,
    /// Passages and a question to an answer that cites the right one.
    Answers,
    /// The middle of a short text in Python, JavaScript or SQL.
    Fim,
    /// A SQL statement to a few sentences that name its tables and columns.
    Explain,
}

/// How much to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to measure.
    pub task: Task,
    /// Cases drawn; `None` asks all there are.
    pub cases: Option<usize>,
    /// Decides which cases are drawn and which rows the databases hold.
    pub seed: u64,
    /// Whether questions to SQL go through the assistant (linking, grammar, checks, repair) and gaps in code through
    /// completion (several versions, those first that parse) instead of to the model as they are.
    pub is_assisted: bool,
    /// Where the statements of [`Task::Questions`] are run, in temporary tables; no other task needs one.
    pub database: Option<Address>,
}

/// One thing to ask a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The answer to a user's message.
    Message(String),
    /// A checked statement for a question over a schema.
    Statement {
        /// The schema.
        ddl: String,
        /// The question.
        question: String,
        /// Whose SQL both are.
        dialect: Dialect,
    },
    /// What stood in a gap.
    Middle(Gap),
    /// The first of some versions of what stood in a gap.
    Completion(Gap),
}

/// Code with a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What comes before.
    pub prefix: String,
    /// What comes after.
    pub suffix: String,
    /// The language of both.
    pub language: &'static str,
}

/// Something that writes answers.
pub trait Writer {
    /// Why it could not.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The whole answer of the model, drawn without chance.
    fn write(&self, ask: Ask) -> impl Future<Output = Result<String, Self::Error>>;
}

/// A case whose answer was wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// What was asked.
    pub asked: String,
    /// An answer that would have been right.
    pub wanted: String,
    /// What the model wrote.
    pub got: String,
}

/// What came out, as shares from 0 to 1.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scores of the task.
    #[serde(flatten)]
    pub scores: Scores,
    /// Cases asked.
    pub cases: usize,
    /// As in the plan.
    pub seed: u64,
    /// Cases that went wrong.
    #[serde(skip)]
    pub misses: Vec<Miss>,
}

/// The scores of one task.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Scores {
    /// Of [`Task::Sql`].
    Sql(sql::Scores),
    /// Of [`Task::Questions`].
    Questions(questions::Scores),
    /// Of [`Task::Answers`].
    Answers(answers::Scores),
    /// Of [`Task::Fim`].
    Fim(code::Scores),
    /// Of [`Task::Explain`].
    Explain(explain::Scores),
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum EvalError<E: std::error::Error> {
    /// The model could not be asked.
    #[error(transparent)]
    Write(E),
    /// A case's own statement or rows do not work.
    #[error("a case cannot be set up")]
    Sqlite(#[from] rusqlite::Error),
    /// There is nowhere to run the statements.
    #[error("the questions' statements need a PostgreSQL to run on")]
    NoDatabase,
    /// The database failed, or does not accept a case's own statement or rows.
    #[error("a case cannot be set up")]
    Database(#[from] DatabaseError),
    /// A case's own schema or statement cannot be read.
    #[error("a case cannot be read")]
    Unreadable(#[from] SqlError),
    /// The file of cases is broken.
    #[error("the cases cannot be read")]
    Cases(#[from] serde_json::Error),
}

/// Asks the model the cases of the plan and scores what it writes.
///
/// # Errors
/// The first failure of the writer; a wrong answer is none.
pub async fn run<W: Writer>(plan: Plan, writer: &W) -> Result<Report, EvalError<W::Error>> {
    match plan.task {
        Task::Sql => sql::run(&plan, writer).await,
        Task::Questions => questions::run(&plan, writer).await,
        Task::Answers => answers::run(&plan, writer).await,
        Task::Fim => code::run(&plan, writer).await,
        Task::Explain => explain::run(&plan, writer).await,
    }
}

/// Every case with what the model wrote, in order.
async fn written<W: Writer, C>(
    cases: Vec<C>,
    writer: &W,
    ask: impl Fn(&C) -> Ask,
) -> Result<Vec<(C, String)>, EvalError<W::Error>> {
    let asked = cases.into_iter().map(|case| {
        let request = ask(&case);
        async move { Ok((case, writer.write(request).await.map_err(EvalError::Write)?)) }
    });
    stream::iter(asked).buffered(TOGETHER).try_collect().await
}

/// The share of `count` in `all`, rounded to four places; 0 of nothing.
fn share(count: usize, all: usize) -> f64 {
    let share = count as f64 / all.max(1) as f64;
    (share * 1e4).round() / 1e4
}

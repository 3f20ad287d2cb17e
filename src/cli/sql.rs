//! `sql`: a question about a schema to a checked statement.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{CliError, Session};

/// Writes SQL for a question, or helps with SQL.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// The question, or the SQL for the other actions; absent: read from stdin.
    query: Option<String>,
    /// A file with CREATE TABLE statements, '-' for stdin, or the name of a registered schema.
    #[arg(long)]
    schema: String,
    /// generate, explain, optimize, fix or complete.
    #[arg(long, default_value = "generate")]
    action: String,
    /// postgres, mysql, sqlite, duckdb, mssql or bigquery.
    #[arg(long)]
    dialect: Option<String>,
    /// What the database said (with --action fix).
    #[arg(long)]
    error: Option<String>,
    /// A model of the server; absent: the configured one.
    #[arg(long)]
    model: Option<String>,
    /// Run the statement, where the schema's registration allows it.
    #[arg(long)]
    execute: bool,
    /// The whole answer as JSON.
    #[arg(long)]
    json: bool,
}

/// What is shown of an answer.
#[derive(Debug, Deserialize)]
struct Told {
    sql: String,
    #[serde(default)]
    explanation: String,
    #[serde(default)]
    suggestions: Vec<String>,
    #[serde(default)]
    warnings: Vec<String>,
    rows: Option<Vec<Value>>,
}

pub(crate) async fn run(args: Arguments, session: &mut Session<'_>) -> Result<(), CliError> {
    let from_stdin = args.schema == "-";
    let schema = match args.schema.as_str() {
        "-" => stdin()?,
        path if fs::metadata(path).is_ok_and(|file| file.is_file()) => fs::read_to_string(path)?,
        // A file that is not there is more likely than a schema named like one.
        path if path.ends_with(".sql") || path.contains('/') => {
            return Err(CliError::Usage(format!("there is no file '{path}'")));
        }
        name => name.to_owned(),
    };
    let query = match args.query {
        Some(query) => query,
        None if from_stdin || io::stdin().is_terminal() => {
            let text = "what is the question? Give it as an argument or on stdin";
            return Err(CliError::Usage(text.to_owned()));
        }
        None => stdin()?,
    };
    let body = json!({
        "query": query,
        "schema": schema,
        "action": args.action,
        "dialect": args.dialect,
        "error": args.error,
        "model": args.model,
        "execute": args.execute,
    });
    let answer: Value = session.client.post("/ai/sql/assist", &body).await?;
    if args.json {
        return Ok(writeln!(session.out, "{answer}")?);
    }
    let told: Told = serde_json::from_value(answer).map_err(io::Error::from)?;
    Ok(show(session.out, &args.action, &told)?)
}

fn stdin() -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

/// What was asked for goes to stdout, so that it can be piped; the rest to stderr.
fn show(out: &mut dyn Write, action: &str, told: &Told) -> io::Result<()> {
    match action {
        "explain" => writeln!(out, "{}", told.explanation)?,
        "complete" => {
            for suggestion in &told.suggestions {
                writeln!(out, "{suggestion}")?;
            }
        }
        _ => {
            writeln!(out, "{}", told.sql)?;
            for suggestion in &told.suggestions {
                eprintln!("-- {suggestion}");
            }
        }
    }
    for row in told.rows.iter().flatten() {
        writeln!(out, "{row}")?;
    }
    for warning in &told.warnings {
        eprintln!("Warning: {warning}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_go_out_alone() {
        let told = Told {
            sql: "SELECT 1".to_owned(),
            explanation: "It returns 1.".to_owned(),
            suggestions: vec!["a".to_owned()],
            warnings: Vec::new(),
            rows: Some(vec![json!({"n": 1})]),
        };
        let shown = |action: &str| {
            let mut out = Vec::new();
            show(&mut out, action, &told).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown("generate"), "SELECT 1\n{\"n\":1}\n");
        assert_eq!(shown("explain"), "It returns 1.\n{\"n\":1}\n");
        assert_eq!(shown("complete"), "a\n{\"n\":1}\n");
    }
}

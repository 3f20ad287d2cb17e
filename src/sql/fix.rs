//! Mends a statement without a model: what the parser stumbles over, names that do not exist, what a dialect
//! writes another way, and what a database's message asks for.
//!
//! Small edits are tried on the text, the cheapest first, until it parses, every name resolves and no rule
//! objects. Nothing else of the text changes.

mod grouping;
mod message;
mod names;
mod rules;
mod syntax;
mod text;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::rc::Rc;

use serde::Serialize;

use super::repair::repair;
use super::resolve::{Problem, ProblemKind, resolve};
use super::statement::{LIMIT_BYTES, parse};
use super::{Schema, SqlError};

use text::{Edit, Source};

/// Repaired statements at most.
pub const MOST_CANDIDATES: usize = 3;
/// Texts that are looked at in one search.
const MOST_TEXTS: usize = 150;
/// Bytes of the texts that are looked at in one search: a long text is dear to parse.
const LOOKED_AT_BYTES: usize = 1 << 20;
/// Bytes of the texts that are kept in one search; none is added beyond that.
const KEPT_BYTES: usize = 8 << 20;
/// Places of a text where one sort of edit is tried: each edit is a whole text.
const MOST_PLACES: usize = 20;
/// Edits of one candidate.
const MOST_EDITS: usize = 6;
/// A candidate may cost so much more than the best.
const SLACK: u32 = 15;

/// What was found and mended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Fixes {
    /// Repaired statements, the best first; each parses, and each name in it resolves. None where nothing was
    /// wrong, and none where no repair was found: `problems` tells which.
    pub candidates: Vec<Candidate>,
    /// What is wrong with the statement as it was given.
    pub problems: Vec<String>,
}

/// A repaired statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The statement.
    pub sql: String,
    /// What was changed, in words.
    pub changes: Vec<String>,
}

/// Mends a statement. `message` is what the database said about it. A schema without tables knows no names, so
/// none are checked.
pub fn fix(sql: &str, schema: &Schema, message: Option<&str>) -> Fixes {
    if sql.len() > LIMIT_BYTES {
        let error = parse(sql, schema.dialect).err();
        let problems = error.iter().map(ToString::to_string).collect();
        return Fixes {
            candidates: Vec::new(),
            problems,
        };
    }
    let mut search = Search::new(sql, schema, message);
    let mut fixes = Fixes {
        problems: search.problems(sql),
        candidates: Vec::new(),
    };
    if fixes.problems.is_empty() {
        return fixes;
    }
    fixes.candidates = search.candidates();
    fixes
}

/// A text on the way to one that is sound.
#[derive(Clone)]
struct State {
    sql: Rc<str>,
    changes: Vec<String>,
}

struct Search<'a> {
    schema: &'a Schema,
    message: Option<&'a str>,
    /// Costs of texts that were not looked at yet, with where they are.
    waiting: BinaryHeap<Reverse<(u32, usize)>>,
    texts: Vec<State>,
    seen: HashSet<Rc<str>>,
    kept_bytes: usize,
}

impl<'a> Search<'a> {
    fn new(sql: &str, schema: &'a Schema, message: Option<&'a str>) -> Search<'a> {
        let mut search = Search {
            schema,
            message: message.filter(|text| !text.trim().is_empty()),
            waiting: BinaryHeap::new(),
            texts: Vec::new(),
            seen: HashSet::new(),
            kept_bytes: 0,
        };
        search.add(0, sql, Vec::new());
        search
    }

    /// What is wrong with a text, the database's own words last.
    fn problems(&self, sql: &str) -> Vec<String> {
        let mut problems: Vec<String> = match self.check(sql) {
            Check::Broken(error) => vec![error.to_string()],
            Check::Names(problems) => problems.iter().map(ToString::to_string).collect(),
            Check::Sound => Vec::new(),
        };
        let edits = rules::edits(&Source::new(sql, self.schema.dialect), self.schema);
        problems.extend(edits.into_iter().map(|edit| edit.reason));
        problems.extend(self.message.map(|text| text.trim().to_owned()));
        problems
    }

    fn check(&self, sql: &str) -> Check {
        let statements = match parse(sql, self.schema.dialect) {
            Ok(statements) => statements,
            Err(error) => return Check::Broken(error),
        };
        if self.schema.tables.is_empty() {
            return Check::Sound;
        }
        let problems = statements
            .iter()
            .flat_map(|statement| resolve(statement, self.schema).problems);
        let problems: Vec<Problem> = problems.collect();
        if problems.is_empty() {
            Check::Sound
        } else {
            Check::Names(problems)
        }
    }

    fn candidates(&mut self) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = Vec::new();
        let mut dearest = u32::MAX;
        let mut looked_at = 0;
        let mut looked_at_bytes = 0;
        while let Some(Reverse((cost, at))) = self.waiting.pop() {
            let is_spent = looked_at == MOST_TEXTS || looked_at_bytes > LOOKED_AT_BYTES;
            if cost > dearest || found.len() == MOST_CANDIDATES || is_spent {
                break;
            }
            let state = self.texts[at].clone();
            looked_at += 1;
            looked_at_bytes += state.sql.len();
            let edits = self.edits(&state);
            if edits.is_empty()
                && !state.changes.is_empty()
                && matches!(self.check(&state.sql), Check::Sound)
            {
                dearest = dearest.min(cost + SLACK);
                found.push(Candidate {
                    sql: state.sql.to_string(),
                    changes: state.changes,
                });
                continue;
            }
            if state.changes.len() < MOST_EDITS {
                for edit in edits {
                    self.push(cost, &state, edit);
                }
            }
        }
        found
    }

    fn push(&mut self, cost: u32, state: &State, edit: Edit) {
        if edit.sql.len() > LIMIT_BYTES || self.seen.contains(edit.sql.as_str()) {
            return;
        }
        let mut changes = state.changes.clone();
        changes.push(edit.reason);
        self.add(cost + edit.cost, &edit.sql, changes);
    }

    /// Keeps a text to be looked at, if there is room for it.
    fn add(&mut self, cost: u32, sql: &str, changes: Vec<String>) {
        let size_bytes = sql.len() + changes.iter().map(String::len).sum::<usize>();
        if self.kept_bytes + size_bytes > KEPT_BYTES {
            return;
        }
        self.kept_bytes += size_bytes;
        let sql: Rc<str> = sql.into();
        self.seen.insert(Rc::clone(&sql));
        self.waiting.push(Reverse((cost, self.texts.len())));
        self.texts.push(State { sql, changes });
    }

    /// What can be done about a text; nothing if it is sound.
    fn edits(&self, state: &State) -> Vec<Edit> {
        let source = Source::new(&state.sql, self.schema.dialect);
        // A rule's edit is never wrong, so it goes before all others.
        let ruled = rules::edits(&source, self.schema);
        if !ruled.is_empty() {
            return ruled;
        }
        let is_first = state.changes.is_empty();
        let mut edits = match self.message.filter(|_| is_first) {
            Some(message) => message::edits(&source, self.schema, message),
            None => Vec::new(),
        };
        match self.check(&state.sql) {
            Check::Broken(error) => edits.extend(syntax::edits(&source, self.schema, &error)),
            Check::Names(problems) => edits.extend(self.renamings(&source, &problems)),
            Check::Sound => {}
        }
        edits
    }

    /// Names that exist in the place of those that do not.
    fn renamings(&self, source: &Source<'_>, problems: &[Problem]) -> Vec<Edit> {
        let mut edits = Vec::new();
        for problem in problems.iter().take(MOST_PLACES) {
            edits.extend(names::of_problem(source, self.schema, problem));
        }
        if let Ok(done) = repair(source.sql, self.schema)
            && !done.changes.is_empty()
        {
            let changes = done
                .changes
                .iter()
                .map(|change| format!("{} instead of {}", change.to, change.from));
            let reason = changes.collect::<Vec<_>>().join(", ");
            edits.push(Edit {
                cost: 10,
                reason,
                sql: done.sql,
            });
        }
        // Other names that are like it, one at a time.
        for problem in problems.iter().take(1) {
            let is_name = !matches!(problem.kind, ProblemKind::Ambiguous { .. });
            for (at, name) in problem.nearest.iter().enumerate().filter(|_| is_name) {
                let reason = format!("{name} instead of {}", problem.name);
                let written = super::names::written(self.schema.dialect, name);
                edits.extend(source.replace_span(
                    problem.span,
                    &written,
                    13 + 4 * at as u32,
                    reason,
                ));
            }
        }
        edits
    }
}

enum Check {
    Broken(SqlError),
    Names(Vec<Problem>),
    Sound,
}

#[cfg(test)]
mod tests;

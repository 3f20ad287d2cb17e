//! How a statement can be answered faster: indexes it lacks, and forms of it that give the same rows for less
//! work.
//!
//! A rewrite is made only where it gives the same rows whatever the tables hold; what would be right only for some
//! data is told, not done.

mod expression;
mod indexes;
mod plan;
mod predicates;
mod shape;
mod subqueries;

use serde::Serialize;
use sqlparser::ast::{Query, Select, SetExpr, Statement};

use super::resolve::{Problem, resolve};
use super::scope::{Scope, ctes};
use super::statement::parse;
use super::{Schema, SqlError};

pub use plan::Plan;

/// What can be done about a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Optimization {
    /// What was found, what helps most first.
    pub findings: Vec<Finding>,
    /// The statement with all sound rewrites; it parses, and its names resolve.
    rewritten: Option<String>,
}

/// Something that makes the statement slow, or wrong in a way that costs time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What sort of thing.
    pub pattern: Pattern,
    /// What it is and what to do, in a sentence or two.
    pub text: String,
    /// The statement to run once, such as `CREATE INDEX`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// Whether the rewritten statement mends it.
    pub is_rewritten: bool,
}

/// What slows statements down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// A filter or join without an index.
    MissingIndex,
    /// A function or arithmetic around a column that an index holds.
    FunctionOnColumn,
    /// `LIKE '%…'`.
    LeadingWildcard,
    /// Tables without a condition between them.
    CartesianJoin,
    /// A subquery that is worked out for each row.
    CorrelatedSubquery,
    /// `NOT IN` with a subquery.
    NotIn,
    /// A column that is compared with a value of another type.
    ImplicitCast,
    /// `OR` over several columns.
    OrAcrossColumns,
    /// `COUNT(*) > 0`.
    CountToExist,
    /// `DISTINCT` that hides the rows a join multiplies.
    DistinctJoin,
    /// `OFFSET` paging.
    OffsetPaging,
    /// `ORDER BY` where no order is kept.
    RedundantOrder,
    /// Conditions in `HAVING` that could filter rows before.
    HavingFilter,
    /// `SELECT *`.
    SelectStar,
    /// All rows of a table.
    NoLimit,
    /// `UPDATE` or `DELETE` of all rows.
    NoFilter,
}

impl Optimization {
    /// The findings in words, each with its statement.
    pub fn suggestions(&self) -> Vec<String> {
        let texts = self
            .findings
            .iter()
            .map(|finding| match &finding.statement {
                Some(statement) => format!("{} {statement}", finding.text),
                None => finding.text.clone(),
            });
        texts.collect()
    }

    /// The better statement, if there is one that gives the same rows.
    pub fn rewrite(&self) -> Option<String> {
        self.rewritten.clone()
    }

    /// What may be wrong with the statement, apart from its speed.
    pub fn warnings(&self) -> Vec<String> {
        let is_doubtful = |finding: &&Finding| {
            let doubts = [
                Pattern::CartesianJoin,
                Pattern::NotIn,
                Pattern::NoFilter,
                Pattern::ImplicitCast,
            ];
            doubts.contains(&finding.pattern) && !finding.is_rewritten
        };
        self.findings
            .iter()
            .filter(is_doubtful)
            .map(|finding| finding.text.clone())
            .collect()
    }
}

/// Looks at a statement. `plan` is what the database says of how it would run it: PostgreSQL's
/// `EXPLAIN (FORMAT JSON)` or SQLite's `EXPLAIN QUERY PLAN`; a missing index is then told only of tables that it
/// reads from end to end.
///
/// # Errors
/// Text that cannot be parsed.
pub fn optimize(sql: &str, schema: &Schema, plan: Option<&str>) -> Result<Optimization, SqlError> {
    let statements = parse(sql, schema.dialect)?;
    let [statement] = statements.as_slice() else {
        return Ok(Optimization::default());
    };
    let plan = plan.and_then(Plan::read);
    let mut found = match statement {
        Statement::Query(query) => of_query(query, schema),
        other => Optimization {
            findings: shape::unfiltered(other),
            rewritten: None,
        },
    };
    // Indexes are told for the better statement: that is the one to run.
    let better = found
        .rewritten
        .as_deref()
        .and_then(|text| parse(text, schema.dialect).ok()?.pop());
    let final_form = better.as_ref().unwrap_or(statement);
    found
        .findings
        .extend(indexes::findings(final_form, schema, plan.as_ref()));
    found.findings.sort_by_key(|finding| finding.pattern);
    Ok(found)
}

/// A query on its way to a better one.
struct Work<'a> {
    schema: &'a Schema,
    query: Query,
    findings: Vec<Finding>,
    rewrites: bool,
}

impl<'a> Work<'a> {
    /// The query's own `SELECT`, unless set operations join several.
    fn select(&self) -> Option<&Select> {
        self.query.body.as_select()
    }

    fn select_mut(&mut self) -> Option<&mut Select> {
        match &mut *self.query.body {
            SetExpr::Select(select) => Some(&mut **select),
            _ => None,
        }
    }

    fn scope(&self) -> Scope<'a> {
        let from = self
            .select()
            .map_or(&[][..], |select| select.from.as_slice());
        Scope::new(self.schema, from, &ctes(&self.query))
    }

    fn tell(&mut self, pattern: Pattern, text: impl Into<String>) {
        self.find(pattern, text.into(), None, false);
    }

    fn rewrote(&mut self, pattern: Pattern, text: impl Into<String>) {
        self.rewrites = true;
        self.find(pattern, text.into(), None, true);
    }

    fn find(
        &mut self,
        pattern: Pattern,
        text: String,
        statement: Option<String>,
        is_rewritten: bool,
    ) {
        let finding = Finding {
            pattern,
            text,
            statement,
            is_rewritten,
        };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }
}

fn of_query(query: &Query, schema: &Schema) -> Optimization {
    let mut work = Work {
        schema,
        query: query.clone(),
        findings: Vec::new(),
        rewrites: false,
    };
    let steps: [fn(&mut Work<'_>); 14] = [
        predicates::having,
        predicates::dates,
        predicates::arithmetic,
        predicates::casts,
        predicates::same_column,
        predicates::wildcards,
        predicates::counts,
        subqueries::order,
        subqueries::not_in,
        subqueries::correlated,
        shape::joins,
        shape::distinct,
        shape::paging,
        shape::or_across_tables,
    ];
    for step in steps {
        step(&mut work);
    }
    shape::stars(&mut work);
    shape::limits(&mut work);
    let rewritten =
        Some(work.query.to_string()).filter(|text| work.rewrites && is_sound(text, schema));
    if rewritten.is_none() {
        for finding in &mut work.findings {
            finding.is_rewritten = false;
        }
    }
    Optimization {
        findings: work.findings,
        rewritten,
    }
}

/// Whether it parses, and its names resolve.
fn is_sound(sql: &str, schema: &Schema) -> bool {
    let Ok(statements) = parse(sql, schema.dialect) else {
        return false;
    };
    let resolves = |statement: &Statement| {
        let found = resolve(statement, schema);
        !found.problems.iter().any(Problem::is_about_name)
    };
    schema.tables.is_empty() || statements.iter().all(resolves)
}

#[cfg(test)]
mod tests;

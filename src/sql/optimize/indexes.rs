//! Indexes that a statement's filters, joins and order would use.

use std::ops::ControlFlow;

use sqlparser::ast::{
    BinaryOperator, Expr, FromTable, GroupByExpr, Ident, JoinConstraint, JoinOperator, OrderByKind,
    Query, Select, SetExpr, Statement, TableWithJoins, Visit, Visitor,
};

use crate::sql::names::written;
use crate::sql::scope::{Scope, ctes};
use crate::sql::{Dialect, Kind, Schema, Table};

use super::expression::{columns, conjuncts, disjuncts, is_constant, text, turned};
use super::plan::Plan;
use super::{Finding, Pattern};

/// A table with fewer rows is as quickly read from end to end.
const FEW_ROWS: u64 = 300;

/// What a table is asked for.
#[derive(Debug, Default)]
struct Needs<'a> {
    table: Option<&'a Table>,
    /// What the statement calls it.
    name: String,
    equal: Vec<&'a str>,
    joined: Vec<&'a str>,
    ranged: Vec<&'a str>,
    ordered: Vec<&'a str>,
    /// Columns with `LIKE 'x%'`.
    prefixed: Vec<&'a str>,
    /// Expressions over columns that are compared, as SQL with bare names.
    computed: Vec<String>,
    /// Columns of an `OR`, each of which wants an index of its own.
    either: Vec<&'a str>,
}

/// The indexes that are missing.
pub(super) fn findings(
    statement: &Statement,
    schema: &Schema,
    plan: Option<&Plan>,
) -> Vec<Finding> {
    let mut reader = Reader {
        schema,
        ctes: Vec::new(),
        needs: Vec::new(),
    };
    let _ = statement.visit(&mut reader);
    let mut findings: Vec<Finding> = Vec::new();
    for need in &reader.needs {
        for finding in advice(need, schema, plan) {
            if !findings
                .iter()
                .any(|other| other.statement == finding.statement)
            {
                findings.push(finding);
            }
        }
    }
    findings
}

struct Reader<'a> {
    schema: &'a Schema,
    ctes: Vec<Ident>,
    needs: Vec<Needs<'a>>,
}

impl<'a> Visitor for Reader<'a> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Update(update) => self.changed(&update.table, update.selection.as_ref()),
            Statement::Delete(delete) => {
                let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) =
                    &delete.from;
                if let [only] = from.as_slice() {
                    self.changed(only, delete.selection.as_ref());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.ctes.extend(ctes(query));
        if let SetExpr::Select(select) = &*query.body {
            self.read(select, Some(query));
        } else {
            self.parts(&query.body);
        }
        ControlFlow::Continue(())
    }
}

impl<'a> Reader<'a> {
    fn parts(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => self.read(select, None),
            SetExpr::SetOperation { left, right, .. } => {
                self.parts(left);
                self.parts(right);
            }
            _ => {}
        }
    }

    fn changed(&mut self, table: &TableWithJoins, selection: Option<&Expr>) {
        let scope = Scope::new(self.schema, std::slice::from_ref(table), &self.ctes);
        let mut needs = blank(&scope);
        for condition in selection.iter().flat_map(|whole| conjuncts(whole)) {
            condition_needs(&condition, &scope, &mut needs);
        }
        self.needs.extend(needs);
    }

    fn read(&mut self, select: &Select, query: Option<&Query>) {
        let scope = Scope::new(self.schema, &select.from, &self.ctes);
        let mut needs = blank(&scope);
        for condition in select.selection.iter().flat_map(conjuncts) {
            condition_needs(&condition, &scope, &mut needs);
        }
        for condition in joins(&select.from) {
            for part in conjuncts(condition) {
                condition_needs(&part, &scope, &mut needs);
            }
        }
        let ungrouped =
            matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
        let limited =
            query.is_some_and(|query| query.limit_clause.is_some() || query.fetch.is_some());
        let order = query.and_then(|query| query.order_by.as_ref());
        // An index spares the sort where the first rows alone are wanted.
        if let Some(OrderByKind::Expressions(order)) = order.map(|order| &order.kind)
            && ungrouped
            && limited
        {
            order_needs(order.iter().map(|by| &by.expr), &scope, &mut needs);
        }
        self.needs.extend(needs);
    }
}

fn blank<'a>(scope: &Scope<'a>) -> Vec<Needs<'a>> {
    let needs = scope.bindings.iter().map(|binding| Needs {
        table: binding.table,
        name: binding.name.value.clone(),
        ..Needs::default()
    });
    needs.collect()
}

fn joins(from: &[TableWithJoins]) -> Vec<&Expr> {
    let joins = from.iter().flat_map(|table| &table.joins);
    let conditions = joins.filter_map(|join| match &join.join_operator {
        JoinOperator::Join(on)
        | JoinOperator::Inner(on)
        | JoinOperator::Left(on)
        | JoinOperator::LeftOuter(on)
        | JoinOperator::Right(on)
        | JoinOperator::RightOuter(on)
        | JoinOperator::FullOuter(on) => match on {
            JoinConstraint::On(condition) => Some(condition),
            _ => None,
        },
        _ => None,
    });
    conditions.collect()
}

fn place<'a>(expr: &Expr, scope: &Scope<'a>) -> Option<(usize, &'a crate::sql::Column)> {
    let (binding, column) = scope.column(expr)?;
    let place = scope
        .bindings
        .iter()
        .position(|other| std::ptr::eq(other, binding))?;
    Some((place, column))
}

fn condition_needs<'a>(condition: &Expr, scope: &Scope<'a>, needs: &mut [Needs<'a>]) {
    match condition {
        Expr::Nested(inner) => condition_needs(inner, scope, needs),
        Expr::BinaryOp {
            op: BinaryOperator::Or,
            ..
        } => {
            for part in disjuncts(condition) {
                either_needs(&part, scope, needs);
            }
        }
        Expr::BinaryOp { left, op, right } => {
            compared(left, op, right, scope, needs);
            if let Some(op) = turned(op) {
                compared(right, &op, left, scope, needs);
            }
        }
        Expr::InList {
            expr,
            negated: false,
            ..
        }
        | Expr::InSubquery {
            expr,
            negated: false,
            ..
        } => {
            if let Some((at, column)) = place(expr, scope) {
                add(&mut needs[at].equal, &column.name);
            }
        }
        Expr::IsNull(expr) => {
            if let Some((at, column)) = place(expr, scope) {
                add(&mut needs[at].equal, &column.name);
            }
        }
        Expr::Between {
            expr,
            negated: false,
            ..
        } => {
            if let Some((at, column)) = place(expr, scope) {
                add(&mut needs[at].ranged, &column.name);
            }
        }
        Expr::Like {
            negated: false,
            expr,
            pattern,
            ..
        } => {
            let is_prefix = text(pattern).is_some_and(|pattern| !pattern.starts_with(['%', '_']));
            if let Some((at, column)) = place(expr, scope).filter(|_| is_prefix) {
                add(&mut needs[at].prefixed, &column.name);
            }
        }
        _ => {}
    }
}

fn compared<'a>(
    left: &Expr,
    op: &BinaryOperator,
    right: &Expr,
    scope: &Scope<'a>,
    needs: &mut [Needs<'a>],
) {
    let is_equal = *op == BinaryOperator::Eq;
    let is_range = matches!(
        op,
        BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq
    );
    if let Some((at, column)) = place(left, scope) {
        let other = place(right, scope).map(|(other, _)| other);
        // A column of a query around is a constant here.
        let is_value = other.is_none();
        match (is_equal, is_range) {
            (true, _) if is_value => add(&mut needs[at].equal, &column.name),
            (true, _) if other != Some(at) => add(&mut needs[at].joined, &column.name),
            (_, true) if is_value => add(&mut needs[at].ranged, &column.name),
            _ => {}
        }
        return;
    }
    let is_function = matches!(
        left,
        Expr::Function(_) | Expr::Cast { .. } | Expr::BinaryOp { .. }
    );
    if is_function && (is_equal || is_range) && is_constant(right) {
        let named = columns(left);
        let places = named.iter().filter_map(|column| place(column, scope));
        // What depends on the session's time zone cannot be indexed.
        let owners = places.filter(|(_, column)| !has_zone(&column.type_name));
        let owners: Vec<usize> = owners.map(|(owner, _)| owner).collect();
        let [first, rest @ ..] = owners.as_slice() else {
            return;
        };
        if owners.len() == named.len() && rest.iter().all(|other| other == first) {
            let computed = bare(left);
            if !needs[*first].computed.contains(&computed) {
                needs[*first].computed.push(computed);
            }
        }
    }
}

fn has_zone(type_name: &str) -> bool {
    let lower = type_name.to_lowercase();
    lower.contains("timestamptz") || lower.contains("with time zone")
}

/// The expression without the names of tables.
fn bare(expr: &Expr) -> String {
    let mut expr = expr.clone();
    let _ = sqlparser::ast::visit_expressions_mut(&mut expr, |part| {
        if let Expr::CompoundIdentifier(parts) = part
            && let Some(last) = parts.last().cloned()
        {
            *part = Expr::Identifier(last);
        }
        ControlFlow::<()>::Continue(())
    });
    expr.to_string()
}

fn either_needs<'a>(part: &Expr, scope: &Scope<'a>, needs: &mut [Needs<'a>]) {
    let column = match part {
        Expr::Nested(inner) => return either_needs(inner, scope, needs),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::Eq,
            right,
        } if is_constant(right) => left,
        Expr::InList {
            expr,
            negated: false,
            ..
        } => expr,
        _ => return,
    };
    if let Some((at, column)) = place(column, scope) {
        add(&mut needs[at].either, &column.name);
    }
}

fn order_needs<'a, 'e>(
    order: impl Iterator<Item = &'e Expr>,
    scope: &Scope<'a>,
    needs: &mut [Needs<'a>],
) {
    let mut owner = None;
    let mut found = Vec::new();
    for expr in order {
        let Some((at, column)) = place(expr, scope) else {
            return;
        };
        if *owner.get_or_insert(at) != at {
            return;
        }
        found.push(column.name.as_str());
    }
    if let Some(at) = owner {
        needs[at].ordered = found;
    }
}

fn add<'a>(list: &mut Vec<&'a str>, name: &'a str) {
    if !list.contains(&name) {
        list.push(name);
    }
}

fn advice(need: &Needs<'_>, schema: &Schema, plan: Option<&Plan>) -> Vec<Finding> {
    let Some(table) = need.table else {
        return Vec::new();
    };
    let is_small = table.rows.is_some_and(|rows| rows < FEW_ROWS);
    let is_fine = plan.is_some_and(|plan| !plan.scans(&table.name) && !plan.scans(&need.name));
    let has_indexes = schema.dialect != Dialect::BigQuery;
    if is_small || is_fine || !has_indexes {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut wanted = wanted(need, table);
    // A join looks up each row by its own column, whatever else is filtered.
    if need.equal.is_empty() {
        wanted.extend(need.joined.iter().map(|column| vec![*column]));
    }
    wanted.extend(need.either.iter().map(|column| vec![*column]));
    for columns in wanted {
        let is_there = is_covered(table, &columns);
        let is_coarse = columns.iter().all(|name| is_flag(table, name));
        let is_new = !found
            .iter()
            .any(|other: &Vec<&str>| other.starts_with(&columns));
        if !is_there && !is_coarse && is_new {
            found.push(columns);
        }
    }
    let mut findings: Vec<Finding> = found
        .iter()
        .map(|columns| of_columns(schema, table, columns, need))
        .collect();
    findings.extend(
        need.prefixed
            .iter()
            .filter_map(|column| prefix(schema, table, column)),
    );
    findings.extend(
        need.computed
            .iter()
            .filter_map(|expr| computed(schema, table, expr)),
    );
    findings
}

/// The columns of one index for filters and order: those with one value first, then a range or the order.
fn wanted<'a>(need: &Needs<'a>, table: &Table) -> Vec<Vec<&'a str>> {
    let mut columns: Vec<&str> = need.equal.clone();
    columns.sort_by_key(|name| is_flag(table, name));
    let ordered = need.ordered.iter().filter(|name| !columns.contains(name));
    let ordered: Vec<&str> = ordered.copied().collect();
    match (need.ranged.first(), ordered.as_slice()) {
        (Some(range), [first, ..]) if range == first => columns.extend(&ordered),
        (Some(&range), _) if !columns.contains(&range) => columns.push(range),
        (_, ordered) => columns.extend(ordered),
    }
    if columns.is_empty() {
        Vec::new()
    } else {
        vec![columns]
    }
}

fn is_flag(table: &Table, name: &str) -> bool {
    table
        .column(name)
        .is_some_and(|column| column.kind == Kind::Boolean)
}

/// Whether an index that is there does as well: a unique one over some of the columns, or one that starts with
/// them.
fn is_covered(table: &Table, columns: &[&str]) -> bool {
    let has = |name: &String| {
        columns
            .iter()
            .any(|column| column.eq_ignore_ascii_case(name))
    };
    let indexes = table.indexes.iter().map(|index| &index.columns);
    let uniques = std::iter::once(&table.primary_key).chain(&table.uniques);
    let of_unique = uniques
        .clone()
        .any(|names| !names.is_empty() && names.iter().all(has));
    // Leading columns with one value may stand in any order.
    let starts = |names: &Vec<String>| {
        names.len() >= columns.len() && names.iter().take(columns.len()).all(has)
    };
    of_unique || uniques.chain(indexes).any(starts)
}

fn table_name(schema: &Schema, table: &Table) -> String {
    let name = written(schema.dialect, &table.name);
    match &table.namespace {
        Some(namespace) => format!("{}.{name}", written(schema.dialect, namespace)),
        None => name,
    }
}

fn of_columns(schema: &Schema, table: &Table, columns: &[&str], need: &Needs<'_>) -> Finding {
    let why = match columns {
        [only] if need.joined.contains(only) => "the join needs to find rows by",
        [only] if need.either.contains(only) => "one side of OR finds its rows by",
        _ if need.equal.is_empty() && need.ranged.is_empty() => {
            "the order of the first rows is that of"
        }
        _ => "the filter needs to find rows by",
    };
    let rows = table
        .rows
        .map_or(String::new(), |rows| format!(" of about {rows} rows"));
    Finding {
        pattern: Pattern::MissingIndex,
        text: format!(
            "No index of {}{rows} serves: {why} {}.",
            table.name,
            columns.join(", ")
        ),
        statement: Some(create(schema, table, columns)),
        is_rewritten: false,
    }
}

fn create(schema: &Schema, table: &Table, columns: &[&str]) -> String {
    let list: Vec<String> = columns
        .iter()
        .map(|column| written(schema.dialect, column))
        .collect();
    let name = written(
        schema.dialect,
        &format!("{}_{}_idx", table.name, columns.join("_")),
    );
    format!(
        "CREATE INDEX {name} ON {} ({});",
        table_name(schema, table),
        list.join(", ")
    )
}

/// Outside the C locale, PostgreSQL serves `LIKE 'x%'` only from an index made for it.
fn prefix(schema: &Schema, table: &Table, column: &str) -> Option<Finding> {
    let own = written(schema.dialect, column);
    let statement = match schema.dialect {
        Dialect::Postgres => {
            let name = written(schema.dialect, &format!("{}_{column}_like_idx", table.name));
            format!(
                "CREATE INDEX {name} ON {} ({own} text_pattern_ops);",
                table_name(schema, table)
            )
        }
        _ if is_covered(table, &[column]) => return None,
        _ => create(schema, table, &[column]),
    };
    Some(Finding {
        pattern: Pattern::MissingIndex,
        text: format!(
            "No index of {} serves LIKE with a fixed beginning on {column}.",
            table.name
        ),
        statement: Some(statement),
        is_rewritten: false,
    })
}

/// An index over what is compared, where the column alone cannot serve.
fn computed(schema: &Schema, table: &Table, expr: &str) -> Option<Finding> {
    let same = |other: &String| plain(other) == plain(expr);
    if table
        .indexes
        .iter()
        .any(|index| index.columns.first().is_some_and(same))
    {
        return None;
    }
    let words: Vec<&str> = expr
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let name = written(
        schema.dialect,
        &format!("{}_{}_idx", table.name, words.join("_").to_lowercase()),
    );
    let statement = match schema.dialect {
        Dialect::Postgres | Dialect::Sqlite | Dialect::DuckDb | Dialect::MySql => Some(format!(
            "CREATE INDEX {name} ON {} (({expr}));",
            table_name(schema, table)
        )),
        _ => None,
    };
    Some(Finding {
        pattern: Pattern::FunctionOnColumn,
        text: format!(
            "An index on the column alone does not serve {expr}; one on the expression does."
        ),
        statement,
        is_rewritten: false,
    })
}

fn plain(expr: &str) -> String {
    let letters = expr
        .chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '"'));
    letters.collect::<String>().to_lowercase()
}

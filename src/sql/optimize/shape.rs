//! What the statement as a whole asks for.

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Join, JoinConstraint, JoinOperator, LimitClause, OrderByKind,
    Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator,
    SetQuantifier, Statement, TableFactor,
};

use crate::sql::names::written;
use crate::sql::scope::{Binding, Scope};
use crate::sql::{Dialect, Schema, Table};

use super::expression::{all, conjuncts, disjuncts, has_query, owners, parsed};
use super::subqueries::inner_on;
use super::{Finding, Pattern, Work};

/// Offsets from here on cost more than they should.
const FAR: u64 = 100;

/// The condition of a join of any kind.
pub(super) fn on(join: &Join) -> Option<&Expr> {
    let constraint = match &join.join_operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => constraint,
        _ => return None,
    };
    match constraint {
        JoinConstraint::On(condition) => Some(condition),
        _ => None,
    }
}

/// Tables that nothing links to the others.
pub(super) fn joins(work: &mut Work<'_>) {
    let scope = work.scope();
    let Some(select) = work.select() else { return };
    let all_joins: Vec<&Join> = select.from.iter().flat_map(|table| &table.joins).collect();
    let by_name = all_joins.iter().any(|join| {
        matches!(
            &join.join_operator,
            JoinOperator::Join(JoinConstraint::Using(_) | JoinConstraint::Natural)
                | JoinOperator::Inner(JoinConstraint::Using(_) | JoinConstraint::Natural)
                | JoinOperator::Left(JoinConstraint::Using(_) | JoinConstraint::Natural)
                | JoinOperator::LeftOuter(JoinConstraint::Using(_) | JoinConstraint::Natural)
                | JoinOperator::CrossApply
                | JoinOperator::OuterApply
        )
    });
    let lateral = select
        .from
        .iter()
        .any(|table| matches!(table.relation, TableFactor::Derived { lateral: true, .. }));
    if by_name
        || lateral
        || scope.bindings.len() < 2
        || scope.bindings.iter().any(|binding| binding.table.is_none())
    {
        return;
    }
    let mut groups: Vec<usize> = (0..scope.bindings.len()).collect();
    let conditions = select
        .selection
        .iter()
        .chain(all_joins.iter().filter_map(|join| on(join)));
    for part in conditions.flat_map(conjuncts) {
        // A condition with a subquery may link through it.
        if has_query(&part) {
            return;
        }
        let Some(owners) = owners(&part, &scope) else {
            return;
        };
        for pair in owners.windows(2) {
            let (a, b) = (groups[pair[0]], groups[pair[1]]);
            for group in &mut groups {
                if *group == b {
                    *group = a;
                }
            }
        }
    }
    let Some(apart) = groups.iter().position(|group| *group != groups[0]) else {
        return;
    };
    let (first, other) = (&scope.bindings[0], &scope.bindings[apart]);
    let known: Vec<&Binding<'_>> = scope
        .bindings
        .iter()
        .enumerate()
        .filter(|(at, _)| groups[*at] == groups[0])
        .map(|(_, b)| b)
        .collect();
    let link = known
        .iter()
        .find_map(|binding| link(work.schema, binding, other));
    let advice = match link {
        Some(condition) => format!("; {condition} links them"),
        None => String::new(),
    };
    let text = format!(
        "Nothing links {} to {}: every row of one is paired with every row of the other{advice}.",
        first.name, other.name
    );
    work.tell(Pattern::CartesianJoin, text);
}

/// The condition along a foreign key between two tables.
fn link(schema: &Schema, a: &Binding<'_>, b: &Binding<'_>) -> Option<String> {
    let pairs = |from: &Binding<'_>, to: &Binding<'_>| {
        let target = to.table?;
        let keys = &from.table?.foreign_keys;
        let key = keys.iter().find(|key| {
            schema
                .table(&key.table)
                .is_some_and(|table| std::ptr::eq(table, target))
        })?;
        let parts = key.columns.iter().zip(&key.references).map(|(own, other)| {
            format!(
                "{}.{} = {}.{}",
                from.name,
                written(schema.dialect, own),
                to.name,
                written(schema.dialect, other)
            )
        });
        Some(parts.collect::<Vec<_>>().join(" AND "))
    };
    pairs(a, b).or_else(|| pairs(b, a))
}

/// Whether the columns decide the row: a key or a unique set without nulls is among them.
fn has_key(table: &Table, names: &[String]) -> bool {
    let within =
        |key: &Vec<String>| !key.is_empty() && key.iter().all(|column| names.contains(column));
    let never_null = |key: &Vec<String>| {
        key.iter()
            .all(|name| table.column(name).is_some_and(|column| !column.nullable))
    };
    within(&table.primary_key)
        || table
            .uniques
            .iter()
            .any(|unique| within(unique) && never_null(unique))
}

fn is_grouped(select: &Select) -> bool {
    !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty())
}

/// `DISTINCT` over the columns of one table that is joined only to filter it.
pub(super) fn distinct(work: &mut Work<'_>) {
    let scope = work.scope();
    let Some(select) = work.select() else { return };
    if !matches!(select.distinct, Some(Distinct::Distinct))
        || is_grouped(select)
        || select.having.is_some()
    {
        return;
    }
    let [table] = select.from.as_slice() else {
        return;
    };
    let has_joins = !table.joins.is_empty();
    match distinct_rewrite(work.schema, &scope, &work.query, select) {
        Some((better, dropped)) => {
            if let Some(own) = work.select_mut() {
                *own = better;
            }
            let kept = if dropped { "and DISTINCT is not needed then" } else { "so that fewer rows are left for DISTINCT" };
            work.rewrote(Pattern::DistinctJoin, format!("The join only filters, and DISTINCT removes the rows it multiplies; EXISTS multiplies none, {kept}."));
        }
        None if has_joins => work.tell(
            Pattern::DistinctJoin,
            "DISTINCT sorts or hashes all rows to remove those that the joins multiply; a join that only filters is better written as EXISTS.",
        ),
        None => {}
    }
}

fn distinct_rewrite(
    schema: &Schema,
    scope: &Scope<'_>,
    query: &Query,
    select: &Select,
) -> Option<(Select, bool)> {
    let [table] = select.from.as_slice() else {
        return None;
    };
    let [join] = table.joins.as_slice() else {
        return None;
    };
    let on = inner_on(join)?;
    if scope.bindings.len() != 2 || select.top.is_some() || select.into.is_some() {
        return None;
    }
    // Everything returned and sorted by is of the first table.
    let mut names = Vec::new();
    for item in &select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            return None;
        };
        if owners(expr, scope)? != [0] {
            return None;
        }
        names.extend(scope.column(expr).map(|(_, column)| column.name.clone()));
    }
    if let Some(OrderByKind::Expressions(order)) = query.order_by.as_ref().map(|order| &order.kind)
    {
        let own = |expr: &Expr| {
            owners(expr, scope).is_none_or(|owners| owners.is_empty() || owners == [0])
        };
        if !order.iter().all(|by| own(&by.expr)) {
            return None;
        }
    }
    let mut outside = Vec::new();
    let mut inside = conjuncts(on);
    for part in select.selection.iter().flat_map(conjuncts) {
        if has_query(&part) {
            return None;
        }
        match owners(&part, scope)?.as_slice() {
            [0] | [] => outside.push(part),
            _ => inside.push(part),
        }
    }
    inside
        .iter()
        .try_for_each(|part| owners(part, scope).map(drop))?;
    let filter = all(inside)?;
    // Names without a table before them would be looked for in the inner one first.
    let filter = qualified_all(filter, scope);
    outside.push(parsed(
        &format!("EXISTS (SELECT 1 FROM {} WHERE {filter})", join.relation),
        schema.dialect,
    )?);
    let mut better = select.clone();
    better.from[0].joins.clear();
    better.selection = all(outside);
    let dropped = scope.bindings[0]
        .table
        .is_some_and(|table| has_key(table, &names));
    if dropped {
        better.distinct = None;
    }
    Some((better, dropped))
}

fn qualified_all(mut filter: Expr, scope: &Scope<'_>) -> Expr {
    super::predicates::replace(&mut filter, &mut |part: &Expr| {
        let is_bare = matches!(part, Expr::Identifier(_));
        let (binding, _) = scope.column(part).filter(|_| is_bare)?;
        Some(super::expression::qualified(binding, part))
    });
    filter
}

/// `OFFSET` reads all that it leaves out.
pub(super) fn paging(work: &mut Work<'_>) {
    let Some((limit, offset)) = page(&work.query) else {
        return;
    };
    if offset.parse::<u64>().is_ok_and(|offset| offset < FAR) {
        return;
    }
    let scope = work.scope();
    let order = match work.query.order_by.as_ref().map(|order| &order.kind) {
        Some(OrderByKind::Expressions(order)) => order.clone(),
        _ => Vec::new(),
    };
    if order.is_empty() {
        let text = format!(
            "OFFSET {offset} reads {offset} rows only to leave them out, and without ORDER BY pages may repeat rows."
        );
        return work.tell(Pattern::OffsetPaging, text);
    }
    let falling = order[0].options.asc == Some(false);
    let is_uniform = order
        .iter()
        .all(|by| (by.options.asc == Some(false)) == falling);
    let mut keys: Vec<String> = order.iter().map(|by| by.expr.to_string()).collect();
    let mut sorted: Vec<String> = order.iter().map(ToString::to_string).collect();
    // The key makes the order of equal rows the same on every page.
    if let Some(binding) = scope.bindings.first().filter(|_| scope.bindings.len() == 1)
        && let Some(table) = binding.table
    {
        let names: Vec<String> = order
            .iter()
            .filter_map(|by| {
                scope
                    .column(&by.expr)
                    .map(|(_, column)| column.name.clone())
            })
            .collect();
        if !has_key(table, &names) {
            for key in table.primary_key.iter().filter(|key| !names.contains(key)) {
                let key = written(work.schema.dialect, key);
                sorted.push(if falling {
                    format!("{key} DESC")
                } else {
                    key.clone()
                });
                keys.push(key);
            }
        }
    }
    let marks: Vec<String> = (1..=keys.len()).map(|at| format!(":last_{at}")).collect();
    let sign = if falling { "<" } else { ">" };
    let advice = match (is_uniform, keys.as_slice()) {
        (true, [only]) => format!("{only} {sign} {}", marks[0]),
        (true, _) => format!("({}) {sign} ({})", keys.join(", "), marks.join(", ")),
        (false, _) => "a condition on the last row's values".to_owned(),
    };
    let count = limit.map_or(String::new(), |limit| format!(" LIMIT {limit}"));
    let text = format!(
        "OFFSET {offset} reads {offset} rows only to leave them out. Remember the last row of a page and start the next one after it: WHERE {advice} ORDER BY {}{count}.",
        sorted.join(", ")
    );
    work.tell(Pattern::OffsetPaging, text);
}

fn page(query: &Query) -> Option<(Option<String>, String)> {
    match query.limit_clause.as_ref()? {
        LimitClause::LimitOffset {
            limit,
            offset: Some(offset),
            ..
        } => Some((
            limit.as_ref().map(ToString::to_string),
            offset.value.to_string(),
        )),
        LimitClause::OffsetCommaLimit { offset, limit } => {
            Some((Some(limit.to_string()), offset.to_string()))
        }
        LimitClause::LimitOffset { .. } => None,
    }
}

/// `OR` between columns of different tables: no index serves it, but one serves each side.
pub(super) fn or_across_tables(work: &mut Work<'_>) {
    let scope = work.scope();
    let Some(select) = work.select() else { return };
    let parts: Vec<Expr> = select.selection.iter().flat_map(conjuncts).collect();
    let across = parts.iter().position(|part| {
        let sides = disjuncts(part);
        let owned: Option<Vec<Vec<usize>>> =
            sides.iter().map(|side| owners(side, &scope)).collect();
        let owned = owned.unwrap_or_default();
        sides.len() == 2
            && owned.iter().all(|owners| owners.len() == 1)
            && owned.first() != owned.last()
    });
    let Some(at) = across else { return };
    let condition = parts[at].clone();
    match union(work, &parts, at) {
        Some(body) => {
            *work.query.body = body;
            work.rewrote(
                Pattern::OrAcrossColumns,
                format!("{condition} is about two tables, so no index serves it; each half of a UNION ALL can use its own, and the second leaves out what the first gives."),
            );
        }
        None => work.tell(
            Pattern::OrAcrossColumns,
            format!("{condition} is about two tables, so no index serves it; two statements joined by UNION can each use their own."),
        ),
    }
}

/// Both halves; nothing where more than the rows themselves is asked for.
fn union(work: &Work<'_>, parts: &[Expr], at: usize) -> Option<SetExpr> {
    let select = work.select()?;
    let is_plain = select.distinct.is_none()
        && !is_grouped(select)
        && select.having.is_none()
        && select.top.is_none()
        && work.query.limit_clause.is_none()
        && work.query.fetch.is_none()
        && work.query.order_by.is_none()
        && work.query.locks.is_empty();
    let text = select
        .projection
        .iter()
        .map(ToString::to_string)
        .collect::<String>()
        .to_lowercase();
    let works_over_rows = text.contains('(');
    if !is_plain
        || works_over_rows
        || matches!(work.schema.dialect, Dialect::MsSql | Dialect::BigQuery)
    {
        return None;
    }
    let sides = disjuncts(&parts[at]);
    let [left, right] = sides.as_slice() else {
        return None;
    };
    let half = |conditions: Vec<Expr>| {
        let mut half = select.clone();
        let rest = parts
            .iter()
            .enumerate()
            .filter(|(place, _)| *place != at)
            .map(|(_, part)| part.clone());
        half.selection = all(rest.chain(conditions).collect());
        Box::new(SetExpr::Select(Box::new(half)))
    };
    let not_left = Expr::IsNotTrue(Box::new(Expr::Nested(Box::new(left.clone()))));
    Some(SetExpr::SetOperation {
        left: half(vec![left.clone()]),
        op: SetOperator::Union,
        set_quantifier: SetQuantifier::All,
        right: half(vec![right.clone(), not_left]),
    })
}

/// `SELECT *` in full.
pub(super) fn stars(work: &mut Work<'_>) {
    let scope = work.scope();
    let dialect = work.schema.dialect;
    let Some(select) = work.select() else { return };
    let joined_by_name = select
        .from
        .iter()
        .flat_map(|table| &table.joins)
        .any(|join| on(join).is_none());
    let known =
        scope.bindings.iter().all(|binding| binding.table.is_some()) && !scope.bindings.is_empty();
    let mut items = Vec::new();
    let mut expanded = false;
    for item in &select.projection {
        let wanted: Option<Vec<&Binding<'_>>> = match item {
            SelectItem::Wildcard(options)
                if options.to_string().is_empty() && known && !joined_by_name =>
            {
                Some(scope.bindings.iter().collect())
            }
            SelectItem::QualifiedWildcard(
                SelectItemQualifiedWildcardKind::ObjectName(name),
                options,
            ) if options.to_string().is_empty() => {
                let name = name.0.last().and_then(|part| part.as_ident());
                let binding = scope
                    .bindings
                    .iter()
                    .find(|binding| name.is_some_and(|name| scope.same(&binding.name, name)));
                binding
                    .filter(|binding| binding.table.is_some())
                    .map(|binding| vec![binding])
            }
            _ => None,
        };
        let Some(bindings) = wanted else {
            items.push(item.clone());
            continue;
        };
        for binding in bindings {
            for column in binding.table.iter().flat_map(|table| &table.columns) {
                let name = written(dialect, &column.name);
                let text = if scope.bindings.len() > 1 {
                    format!("{}.{name}", binding.name)
                } else {
                    name
                };
                items.extend(parsed(&text, dialect).map(SelectItem::UnnamedExpr));
            }
        }
        expanded = true;
    }
    let has_star = select.projection.iter().any(|item| {
        matches!(
            item,
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)
        )
    });
    if expanded {
        if let Some(select) = work.select_mut() {
            select.projection = items;
        }
        work.rewrote(Pattern::SelectStar, "SELECT * reads and sends every column; leave out those you do not need, so that an index alone may serve.");
    } else if has_star {
        work.tell(
            Pattern::SelectStar,
            "SELECT * reads and sends every column; name those you need.",
        );
    }
}

/// All rows of a table.
pub(super) fn limits(work: &mut Work<'_>) {
    let scope = work.scope();
    let Some(select) = work.select() else { return };
    let counts = select
        .projection
        .iter()
        .any(|item| item.to_string().contains('('));
    let bounded = select.selection.is_some()
        || work.query.limit_clause.is_some()
        || work.query.fetch.is_some()
        || select.top.is_some()
        || is_grouped(select)
        || select.distinct.is_some()
        || counts;
    let [binding] = scope.bindings.as_slice() else {
        return;
    };
    let Some(table) = binding.table.filter(|_| !bounded) else {
        return;
    };
    let rows = table
        .rows
        .map_or(String::new(), |rows| format!(" (about {rows})"));
    let how = if work.schema.dialect == Dialect::MsSql {
        "TOP"
    } else {
        "LIMIT"
    };
    work.tell(
        Pattern::NoLimit,
        format!(
            "Without a filter, all rows of {}{rows} are returned; add {how} if some will do.",
            table.name
        ),
    );
}

/// Changes without a condition.
pub(super) fn unfiltered(statement: &Statement) -> Vec<Finding> {
    let (verb, table) = match statement {
        Statement::Update(update) if update.selection.is_none() && update.from.is_none() => {
            ("UPDATE", update.table.to_string())
        }
        Statement::Delete(delete) if delete.selection.is_none() && delete.using.is_none() => {
            ("DELETE", delete.from.to_string())
        }
        _ => return Vec::new(),
    };
    let table = table.trim_start_matches("FROM ").to_owned();
    vec![Finding {
        pattern: Pattern::NoFilter,
        text: format!("{verb} without WHERE touches every row of {table}."),
        statement: None,
        is_rewritten: false,
    }]
}

//! A statement's parts as plain data, in the order the statement has them.

use std::ops::ControlFlow;

use serde::Serialize;
use sqlparser::ast::{
    self, BinaryOperator, Distinct, Expr, FromTable, GroupByExpr, JoinConstraint, JoinOperator,
    LimitClause, NamedWindowExpr, OnConflictAction, OnInsert, OrderByKind, SelectItem, SetExpr,
    SetQuantifier, Statement, TableFactor, TableObject, TableWithJoins, TopQuantity,
    UpdateTableFromKind, Visit, Visitor, WindowType,
};

use super::phrase;
use crate::sql::statement::join_constraint;

/// What one statement is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Facts {
    /// It reads.
    Query(Query),
    /// It changes rows.
    Change(Change),
    /// It does something else, such as `CREATE TABLE`.
    Other {
        /// The sentences about it, which its kind alone decides.
        summary: Vec<String>,
    },
}

/// A `SELECT` with everything around it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Query {
    /// Named results that it builds first.
    pub ctes: Vec<Cte>,
    /// Its `SELECT`s: one, or those that set operations join.
    pub selects: Vec<Select>,
    /// How each `SELECT` after the first is joined to those before it: `UNION ALL`.
    pub set_operations: Vec<String>,
    /// Rows of `VALUES`.
    pub value_rows: usize,
    /// What it sorts by.
    pub order: Vec<Order>,
    /// How many rows it gives.
    pub limit: Limit,
    /// Whether it locks what it reads.
    pub locks: Vec<String>,
}

/// A named result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cte {
    /// Its name.
    pub name: String,
    /// Whether it may read itself.
    pub recursive: bool,
    /// What it is.
    pub statement: Box<Facts>,
}

/// One `SELECT`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Select {
    /// `DISTINCT`.
    pub distinct: bool,
    /// Expressions of `DISTINCT ON`.
    pub distinct_on: Vec<String>,
    /// What it returns.
    pub columns: Vec<Output>,
    /// What it reads, joins apart. More than one: every pair of rows.
    pub sources: Vec<Source>,
    /// What it joins to that, in order.
    pub joins: Vec<Join>,
    /// Conditions of `WHERE`, which all hold.
    pub filters: Vec<Condition>,
    /// What it groups by.
    pub group_by: Vec<String>,
    /// Conditions that groups must meet.
    pub having: Vec<Condition>,
    /// Functions over windows.
    pub windows: Vec<Window>,
    /// Conditions on the results of window functions.
    pub qualify: Vec<Condition>,
    /// Queries inside its expressions.
    pub subqueries: Vec<Subquery>,
    /// The table that it writes its rows to.
    pub into: Option<String>,
    /// `TOP` of SQL Server.
    pub top: Option<String>,
}

/// Something returned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The expression as written; `*` for all columns.
    pub expression: String,
    /// In English.
    pub phrase: String,
    /// The name it is returned under, where one is given.
    pub name: Option<String>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// As written.
    pub expression: String,
    /// In English.
    pub phrase: String,
}

/// Something that rows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// The table, function or expression; nothing for a subquery.
    pub name: Option<String>,
    /// What the statement calls it.
    pub alias: Option<String>,
    /// The query, if it is one.
    pub subquery: Option<Box<Query>>,
}

/// A join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Join {
    /// `inner`, `left`, `right`, `full`, `cross`, `natural` or the operator's own name.
    pub kind: String,
    /// What is joined.
    pub source: Source,
    /// Conditions of `ON`, which all hold.
    pub on: Vec<Condition>,
    /// Columns of `USING`.
    pub using: Vec<String>,
}

/// What rows are sorted by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The expression as written.
    pub expression: String,
    /// In English.
    pub phrase: String,
    /// From the largest to the smallest.
    pub descending: bool,
    /// Where `NULL` goes, if that is said.
    pub nulls_first: Option<bool>,
}

/// How many rows are given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// At most so many.
    pub rows: Option<String>,
    /// After leaving out so many.
    pub offset: Option<String>,
}

/// A function over a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The function as written, its window apart.
    pub function: String,
    /// What its rows are split by.
    pub partition_by: Vec<String>,
    /// In which order it goes through them.
    pub order: Vec<Order>,
    /// The frame, or the window's name, as written.
    pub frame: Option<String>,
}

/// A query inside an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subquery {
    /// `exists`, `not exists`, `in`, `not in` or `value`.
    pub role: String,
    /// The query.
    pub query: Box<Query>,
}

/// A statement that changes rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `insert`, `replace`, `update`, `delete` or `merge`.
    pub verb: String,
    /// The table whose rows change.
    pub table: String,
    /// Columns that get values.
    pub columns: Vec<String>,
    /// `column = value`, in the order of the columns.
    pub assignments: Vec<(String, String)>,
    /// Where new rows come from; `value_rows` counts those that are written out.
    pub source: Option<Box<Query>>,
    /// Other tables that it reads.
    pub reads: Vec<Source>,
    /// Joins between them.
    pub joins: Vec<Join>,
    /// Conditions that rows must meet to be changed.
    pub filters: Vec<Condition>,
    /// Queries inside its expressions.
    pub subqueries: Vec<Subquery>,
    /// What happens where a row is there already.
    pub conflict: Option<String>,
    /// What it returns of the changed rows.
    pub returning: Vec<Output>,
}

/// The parts of a statement.
pub(super) fn of(statement: &Statement) -> Facts {
    match statement {
        Statement::Query(query) => of_query(query),
        Statement::Insert(insert) => Facts::Change(inserted(insert)),
        Statement::Update(update) => Facts::Change(updated(update)),
        Statement::Delete(delete) => Facts::Change(deleted(delete)),
        Statement::Merge(merge) => Facts::Change(merged(merge)),
        other => Facts::Other {
            summary: super::sentences::of_other(other),
        },
    }
}

fn of_query(whole: &ast::Query) -> Facts {
    match &*whole.body {
        SetExpr::Insert(statement)
        | SetExpr::Update(statement)
        | SetExpr::Delete(statement)
        | SetExpr::Merge(statement) => of(statement),
        _ => Facts::Query(query(whole)),
    }
}

fn query(query: &ast::Query) -> Query {
    let mut facts = Query {
        order: query.order_by.as_ref().map_or(Vec::new(), ordered),
        limit: limit(query),
        locks: query.locks.iter().map(ToString::to_string).collect(),
        ..Query::default()
    };
    if let Some(with) = &query.with {
        facts.ctes = with
            .cte_tables
            .iter()
            .map(|cte| named(cte, with.recursive))
            .collect();
    }
    body(&query.body, &mut facts);
    facts
}

fn named(cte: &ast::Cte, recursive: bool) -> Cte {
    Cte {
        name: cte.alias.name.value.clone(),
        recursive: recursive && reads(&cte.query, &cte.alias.name.value),
        statement: Box::new(of_query(&cte.query)),
    }
}

fn reads(query: &ast::Query, name: &str) -> bool {
    let found = ast::visit_relations(query, |relation| {
        let same = relation.to_string().eq_ignore_ascii_case(name);
        if same {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    found.is_break()
}

fn body(part: &SetExpr, facts: &mut Query) {
    match part {
        SetExpr::Select(one) => facts.selects.push(select(one)),
        SetExpr::Query(inner) => {
            let inner = query(inner);
            if inner.ctes.is_empty() && inner.order.is_empty() && inner.limit == Limit::default() {
                facts.selects.extend(inner.selects);
                facts.set_operations.extend(inner.set_operations);
                facts.value_rows += inner.value_rows;
            } else {
                facts.selects.push(over(inner));
            }
        }
        SetExpr::SetOperation {
            left,
            op,
            set_quantifier,
            right,
        } => {
            body(left, facts);
            facts.set_operations.push(match set_quantifier {
                SetQuantifier::None => op.to_string(),
                quantifier => format!("{op} {quantifier}"),
            });
            body(right, facts);
        }
        SetExpr::Values(values) => facts.value_rows += values.rows.len(),
        SetExpr::Table(table) => facts.selects.push(Select {
            columns: vec![all_columns("*")],
            sources: vec![Source {
                name: table.table_name.clone(),
                alias: None,
                subquery: None,
            }],
            ..Select::default()
        }),
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {}
    }
}

/// All rows of a query in parentheses that has an order or a limit of its own.
fn over(query: Query) -> Select {
    Select {
        columns: vec![all_columns("*")],
        sources: vec![Source {
            name: None,
            alias: None,
            subquery: Some(Box::new(query)),
        }],
        ..Select::default()
    }
}

fn select(select: &ast::Select) -> Select {
    let mut facts = Select {
        columns: select.projection.iter().map(output).collect(),
        group_by: grouped(&select.group_by),
        into: select.into.as_ref().map(|into| into.name.to_string()),
        top: select.top.as_ref().and_then(top),
        ..Select::default()
    };
    match &select.distinct {
        Some(Distinct::Distinct) => facts.distinct = true,
        Some(Distinct::On(expressions)) => facts.distinct_on = written(expressions),
        Some(Distinct::All) | None => {}
    }
    read(&select.from, &mut facts.sources, &mut facts.joins);
    facts.filters = conditions(select.prewhere.as_ref());
    facts.filters.extend(conditions(select.selection.as_ref()));
    facts.having = conditions(select.having.as_ref());
    facts.qualify = conditions(select.qualify.as_ref());
    let mut inner = Inner::default();
    let _ = select.projection.visit(&mut inner);
    let _ = select.selection.visit(&mut inner);
    let _ = select.group_by.visit(&mut inner);
    let _ = select.having.visit(&mut inner);
    let _ = select.qualify.visit(&mut inner);
    let _ = select
        .from
        .iter()
        .try_for_each(|table| on_clauses(table, &mut inner));
    facts.windows = inner.windows;
    for defined in &select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = &defined.1 {
            facts.windows.push(window(defined.0.to_string(), spec));
        }
    }
    facts.subqueries = inner.subqueries;
    facts
}

/// Conditions of joins; the tables themselves are told as sources.
fn on_clauses(table: &TableWithJoins, inner: &mut Inner) -> ControlFlow<()> {
    table
        .joins
        .iter()
        .try_for_each(|join| match join_constraint(&join.join_operator) {
            Some(JoinConstraint::On(condition)) => condition.visit(inner),
            _ => ControlFlow::Continue(()),
        })
}

fn top(top: &ast::Top) -> Option<String> {
    let quantity = match top.quantity.as_ref()? {
        TopQuantity::Expr(expr) => expr.to_string(),
        TopQuantity::Constant(count) => count.to_string(),
    };
    Some(if top.percent {
        format!("{quantity} PERCENT")
    } else {
        quantity
    })
}

fn grouped(group_by: &GroupByExpr) -> Vec<String> {
    match group_by {
        GroupByExpr::All(_) => vec!["ALL".to_owned()],
        GroupByExpr::Expressions(expressions, _) => written(expressions),
    }
}

fn written(expressions: &[Expr]) -> Vec<String> {
    expressions.iter().map(ToString::to_string).collect()
}

fn output(item: &SelectItem) -> Output {
    match item {
        SelectItem::UnnamedExpr(expr) => returned(expr, None),
        SelectItem::ExprWithAlias { expr, alias } => returned(expr, Some(alias.value.clone())),
        SelectItem::ExprWithAliases { expr, .. } => returned(expr, None),
        SelectItem::QualifiedWildcard(..) | SelectItem::Wildcard(_) => {
            all_columns(&item.to_string())
        }
    }
}

fn returned(expr: &Expr, name: Option<String>) -> Output {
    Output {
        expression: expr.to_string(),
        phrase: phrase::value(expr),
        name,
    }
}

fn all_columns(written: &str) -> Output {
    let phrase = match written.strip_suffix(".*") {
        Some(table) => format!("all columns of `{table}`"),
        None => "all columns".to_owned(),
    };
    Output {
        expression: written.to_owned(),
        phrase,
        name: None,
    }
}

fn conditions(whole: Option<&Expr>) -> Vec<Condition> {
    let mut parts = Vec::new();
    if let Some(whole) = whole {
        all_of(whole, &mut parts);
    }
    let parts = parts.into_iter().map(|part| Condition {
        expression: part.to_string(),
        phrase: phrase::condition(part),
    });
    parts.collect()
}

/// What `AND` joins.
fn all_of<'a>(whole: &'a Expr, parts: &mut Vec<&'a Expr>) {
    match whole {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            all_of(left, parts);
            all_of(right, parts);
        }
        Expr::Nested(inner)
            if matches!(
                **inner,
                Expr::BinaryOp {
                    op: BinaryOperator::And,
                    ..
                }
            ) =>
        {
            all_of(inner, parts);
        }
        part => parts.push(part),
    }
}

fn read(from: &[TableWithJoins], sources: &mut Vec<Source>, joins: &mut Vec<Join>) {
    for table in from {
        match &table.relation {
            TableFactor::NestedJoin {
                table_with_joins, ..
            } => {
                read(std::slice::from_ref(table_with_joins), sources, joins);
            }
            relation => sources.push(source(relation)),
        }
        joins.extend(table.joins.iter().map(join));
    }
}

fn source(relation: &TableFactor) -> Source {
    let aliased = |alias: &Option<ast::TableAlias>| alias.as_ref().map(|a| a.name.value.clone());
    let (name, alias, subquery) = match relation {
        TableFactor::Table {
            name, alias, args, ..
        } => {
            let name = match args {
                Some(_) => without_alias(relation, alias),
                None => name.to_string(),
            };
            (Some(name), aliased(alias), None)
        }
        TableFactor::Derived {
            subquery, alias, ..
        } => (None, aliased(alias), Some(Box::new(query(subquery)))),
        TableFactor::NestedJoin { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::JsonTable { alias, .. }
        | TableFactor::OpenJsonTable { alias, .. }
        | TableFactor::Pivot { alias, .. }
        | TableFactor::Unpivot { alias, .. }
        | TableFactor::MatchRecognize { alias, .. }
        | TableFactor::XmlTable { alias, .. }
        | TableFactor::SemanticView { alias, .. } => {
            (Some(without_alias(relation, alias)), aliased(alias), None)
        }
    };
    Source {
        name,
        alias,
        subquery,
    }
}

fn without_alias(relation: &TableFactor, alias: &Option<ast::TableAlias>) -> String {
    let whole = relation.to_string();
    let Some(alias) = alias else { return whole };
    let ending = alias.to_string();
    whole
        .strip_suffix(&ending)
        .map_or(whole.clone(), |rest| rest.trim_end().to_owned())
}

fn join(join: &ast::Join) -> Join {
    let kind = match &join.join_operator {
        operator if matches!(join_constraint(operator), Some(JoinConstraint::Natural)) => "natural",
        JoinOperator::Join(JoinConstraint::None) | JoinOperator::Inner(JoinConstraint::None) => {
            "cross"
        }
        JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::StraightJoin(_) => "inner",
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => "left",
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => "right",
        JoinOperator::FullOuter(_) => "full",
        JoinOperator::CrossJoin(_) => "cross",
        JoinOperator::Semi(_) | JoinOperator::LeftSemi(_) => "semi",
        JoinOperator::RightSemi(_) => "right semi",
        JoinOperator::Anti(_) | JoinOperator::LeftAnti(_) => "anti",
        JoinOperator::RightAnti(_) => "right anti",
        JoinOperator::CrossApply => "cross apply",
        JoinOperator::OuterApply => "outer apply",
        JoinOperator::AsOf { .. } => "as of",
        JoinOperator::ArrayJoin | JoinOperator::InnerArrayJoin => "array",
        JoinOperator::LeftArrayJoin => "left array",
    };
    let (on, using) = match join_constraint(&join.join_operator) {
        Some(JoinConstraint::On(condition)) => (conditions(Some(condition)), Vec::new()),
        Some(JoinConstraint::Using(columns)) => (
            Vec::new(),
            columns.iter().map(ToString::to_string).collect(),
        ),
        _ => (Vec::new(), Vec::new()),
    };
    Join {
        kind: kind.to_owned(),
        source: source(&join.relation),
        on,
        using,
    }
}

fn ordered(order_by: &ast::OrderBy) -> Vec<Order> {
    match &order_by.kind {
        OrderByKind::Expressions(expressions) => expressions.iter().map(order).collect(),
        OrderByKind::All(options) => vec![Order {
            expression: "ALL".to_owned(),
            phrase: "all columns".to_owned(),
            descending: options.asc == Some(false),
            nulls_first: options.nulls_first,
        }],
    }
}

fn order(by: &ast::OrderByExpr) -> Order {
    Order {
        expression: by.expr.to_string(),
        phrase: phrase::value(&by.expr),
        descending: by.options.asc == Some(false),
        nulls_first: by.options.nulls_first,
    }
}

fn limit(query: &ast::Query) -> Limit {
    let fetched = query.fetch.as_ref().and_then(|fetch| {
        let quantity = fetch.quantity.as_ref()?.to_string();
        Some(if fetch.percent {
            format!("{quantity} PERCENT")
        } else {
            quantity
        })
    });
    let (rows, offset) = match &query.limit_clause {
        Some(LimitClause::LimitOffset { limit, offset, .. }) => (
            limit.as_ref().map(ToString::to_string),
            offset.as_ref().map(|offset| offset.value.to_string()),
        ),
        Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
            (Some(limit.to_string()), Some(offset.to_string()))
        }
        None => (None, None),
    };
    Limit {
        rows: rows.or(fetched),
        offset,
    }
}

fn window(function: String, spec: &ast::WindowSpec) -> Window {
    Window {
        function,
        partition_by: written(&spec.partition_by),
        order: spec.order_by.iter().map(order).collect(),
        frame: spec.window_frame.as_ref().map(ast_frame),
    }
}

fn ast_frame(frame: &ast::WindowFrame) -> String {
    match &frame.end_bound {
        Some(end) => format!("{} BETWEEN {} AND {end}", frame.units, frame.start_bound),
        None => format!("{} {}", frame.units, frame.start_bound),
    }
}

/// Queries and window functions of an expression, those inside inner queries apart.
#[derive(Default)]
struct Inner {
    depth: usize,
    role: Option<&'static str>,
    subqueries: Vec<Subquery>,
    windows: Vec<Window>,
}

impl Visitor for Inner {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if self.depth > 0 {
            return ControlFlow::Continue(());
        }
        match expr {
            Expr::Exists { negated, .. } => {
                self.role = Some(if *negated { "not exists" } else { "exists" });
            }
            Expr::InSubquery { negated, .. } => {
                self.role = Some(if *negated { "not in" } else { "in" });
            }
            Expr::Subquery(_) => self.role = Some("value"),
            Expr::Function(function) => self.windows.extend(over_window(function)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, inner: &ast::Query) -> ControlFlow<()> {
        if self.depth == 0 {
            self.subqueries.push(Subquery {
                role: self.role.take().unwrap_or("value").to_owned(),
                query: Box::new(query(inner)),
            });
        }
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &ast::Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

fn over_window(function: &ast::Function) -> Option<Window> {
    let over = function.over.as_ref()?;
    let mut bare = function.clone();
    bare.over = None;
    let bare = bare.to_string();
    Some(match over {
        WindowType::WindowSpec(spec) => window(bare, spec),
        WindowType::NamedWindow(name) => Window {
            function: bare,
            partition_by: Vec::new(),
            order: Vec::new(),
            frame: Some(name.to_string()),
        },
    })
}

fn inserted(insert: &ast::Insert) -> Change {
    let table = match &insert.table {
        TableObject::TableName(name) => name.to_string(),
        TableObject::TableFunction(function) => function.to_string(),
        TableObject::TableQuery(query) => query.to_string(),
    };
    let conflict = match &insert.on {
        Some(OnInsert::OnConflict(on)) => Some(match &on.action {
            OnConflictAction::DoNothing => "keeps the row that is there".to_owned(),
            OnConflictAction::DoUpdate(update) => changes(&update.assignments),
        }),
        Some(OnInsert::DuplicateKeyUpdate(assignments)) => Some(changes(assignments)),
        Some(_) => None,
        None if insert.ignore => Some("keeps the row that is there".to_owned()),
        None => None,
    };
    let mut change = Change {
        verb: if insert.replace_into {
            "replace"
        } else {
            "insert"
        }
        .to_owned(),
        table,
        columns: insert.columns.iter().map(ToString::to_string).collect(),
        assignments: assigned(&insert.assignments),
        source: insert.source.as_deref().map(query).map(Box::new),
        conflict,
        returning: insert.returning.iter().flatten().map(output).collect(),
        ..Change::default()
    };
    let mut inner = Inner::default();
    let _ = insert.assignments.visit(&mut inner);
    change.subqueries = inner.subqueries;
    change
}

fn changes(assignments: &[ast::Assignment]) -> String {
    let parts = assigned(assignments).into_iter();
    let parts: Vec<String> = parts
        .map(|(to, value)| format!("sets `{to}` to `{value}`"))
        .collect();
    parts.join(" and ")
}

fn assigned(assignments: &[ast::Assignment]) -> Vec<(String, String)> {
    let pairs = assignments.iter();
    pairs
        .map(|pair| (pair.target.to_string(), pair.value.to_string()))
        .collect()
}

fn updated(update: &ast::Update) -> Change {
    let mut change = Change {
        verb: "update".to_owned(),
        table: told(&update.table.relation),
        columns: update
            .assignments
            .iter()
            .map(|pair| pair.target.to_string())
            .collect(),
        assignments: assigned(&update.assignments),
        joins: update.table.joins.iter().map(join).collect(),
        filters: conditions(update.selection.as_ref()),
        returning: update.returning.iter().flatten().map(output).collect(),
        ..Change::default()
    };
    match &update.from {
        Some(UpdateTableFromKind::BeforeSet(from) | UpdateTableFromKind::AfterSet(from)) => {
            read(from, &mut change.reads, &mut change.joins);
        }
        None => {}
    }
    let mut inner = Inner::default();
    let _ = update.assignments.visit(&mut inner);
    let _ = update.selection.visit(&mut inner);
    change.subqueries = inner.subqueries;
    change
}

fn told(relation: &TableFactor) -> String {
    match relation {
        TableFactor::Table { name, .. } => name.to_string(),
        other => other.to_string(),
    }
}

fn deleted(delete: &ast::Delete) -> Change {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let mut change = Change {
        verb: "delete".to_owned(),
        filters: conditions(delete.selection.as_ref()),
        returning: delete.returning.iter().flatten().map(output).collect(),
        ..Change::default()
    };
    match (delete.tables.as_slice(), from.as_slice()) {
        ([], [only, rest @ ..]) => {
            change.table = told(&only.relation);
            change.joins = only.joins.iter().map(join).collect();
            read(rest, &mut change.reads, &mut change.joins);
        }
        (tables, from) => {
            let names: Vec<String> = tables.iter().map(ToString::to_string).collect();
            change.table = names.join(", ");
            read(from, &mut change.reads, &mut change.joins);
        }
    }
    if let Some(using) = &delete.using {
        read(using, &mut change.reads, &mut change.joins);
    }
    let mut inner = Inner::default();
    let _ = delete.selection.visit(&mut inner);
    change.subqueries = inner.subqueries;
    change
}

fn merged(merge: &ast::Merge) -> Change {
    Change {
        verb: "merge".to_owned(),
        table: told(&merge.table),
        reads: vec![source(&merge.source)],
        filters: conditions(Some(&merge.on)),
        assignments: merge.clauses.iter().map(clause).collect(),
        ..Change::default()
    }
}

/// When a clause of `MERGE` applies, and what it does then.
fn clause(clause: &ast::MergeClause) -> (String, String) {
    let when = match clause.clause_kind {
        ast::MergeClauseKind::Matched => "matched",
        ast::MergeClauseKind::NotMatched | ast::MergeClauseKind::NotMatchedByTarget => {
            "not matched"
        }
        ast::MergeClauseKind::NotMatchedBySource => "not matched by the source",
    };
    let action = match clause.action {
        ast::MergeAction::Insert(_) => "inserted",
        ast::MergeAction::Update(_) => "updated",
        ast::MergeAction::Delete { .. } => "deleted",
    };
    (when.to_owned(), action.to_owned())
}

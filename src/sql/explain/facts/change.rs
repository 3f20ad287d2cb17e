//! Statements that change rows.

use sqlparser::ast::{
    self, FromTable, OnConflictAction, OnInsert, TableFactor, TableObject, UpdateTableFromKind,
    Visit,
};

use super::Change;
use super::inner::Inner;
use super::query::query;
use super::select::{conditions, output};
use super::sources::{join, read, source};

pub(super) fn inserted(insert: &ast::Insert) -> Change {
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

pub(super) fn updated(update: &ast::Update) -> Change {
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

pub(super) fn deleted(delete: &ast::Delete) -> Change {
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

pub(super) fn merged(merge: &ast::Merge) -> Change {
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

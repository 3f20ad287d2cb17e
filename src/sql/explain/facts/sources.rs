//! Where rows come from.

use sqlparser::ast::{self, JoinConstraint, JoinOperator, TableFactor, TableWithJoins};

use super::query::query;
use super::select::conditions;
use super::{Join, Source};
use crate::sql::statement::join_constraint;

pub(super) fn read(from: &[TableWithJoins], sources: &mut Vec<Source>, joins: &mut Vec<Join>) {
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

pub(super) fn source(relation: &TableFactor) -> Source {
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

pub(super) fn join(join: &ast::Join) -> Join {
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

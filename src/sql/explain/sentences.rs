//! English over the parts of a statement.

use sqlparser::ast::{AlterTableOperation, Statement, TableConstraint};

use super::facts::{
    Change, Condition, Cte, Facts, Join, Limit, Order, Output, Query, Select, Source, Subquery,
    Window,
};
use super::phrase::{joined, ticked};

/// The sentences about one statement.
pub(super) fn of(facts: &Facts) -> Vec<String> {
    match facts {
        Facts::Query(query) => of_query(query),
        Facts::Change(change) => of_change(change),
        Facts::Other { summary } => summary.clone(),
    }
}

fn of_query(query: &Query) -> Vec<String> {
    let mut said: Vec<String> = query.ctes.iter().flat_map(of_cte).collect();
    match query.selects.as_slice() {
        [] if query.value_rows > 0 => {
            said.push(format!(
                "Gives {} written out in it.",
                counted(query.value_rows, "row")
            ));
        }
        [only] => said.extend(of_select(only)),
        several => said.extend(of_set(several, &query.set_operations)),
    }
    said.extend(sorted(&query.order));
    said.extend(limited(&query.limit));
    for lock in &query.locks {
        said.push(format!("Locks the rows it reads ({}).", ticked(lock)));
    }
    said
}

fn of_cte(cte: &Cte) -> Vec<String> {
    let mut said = of(&cte.statement);
    let itself = if cte.recursive {
        ", again and again over its own rows until none is new,"
    } else {
        ""
    };
    if let Some(first) = said.first_mut() {
        *first = format!(
            "Builds {}{itself} first: {}",
            ticked(&cte.name),
            lower_first(first)
        );
    }
    said
}

fn of_set(selects: &[Select], operations: &[String]) -> Vec<String> {
    let mut said = Vec::new();
    for (at, select) in selects.iter().enumerate() {
        let mut part = of_select(select);
        let lead = match at.checked_sub(1).and_then(|at| operations.get(at)) {
            None => "Part 1".to_owned(),
            Some(operation) => format!("Part {}, {}", at + 1, combined(operation)),
        };
        if let Some(first) = part.first_mut() {
            *first = format!("{lead}: {}", lower_first(first));
        }
        said.extend(part);
    }
    said
}

fn combined(operation: &str) -> String {
    let upper = operation.to_uppercase();
    let how = match upper.split(' ').next().unwrap_or_default() {
        "UNION" if upper.contains("ALL") => "added with all duplicates",
        "UNION" => "added without duplicates",
        "INTERSECT" => "of which only common rows stay",
        "EXCEPT" | "MINUS" => "whose rows are taken away",
        _ => "combined",
    };
    format!("{how} ({})", ticked(operation))
}

fn of_select(select: &Select) -> Vec<String> {
    let mut said = vec![main_clause(select)];
    for source in &select.sources {
        said.extend(of_source(source));
    }
    for join in &select.joins {
        said.push(of_join(join));
        said.extend(of_source(&join.source));
    }
    said.extend(kept("Keeps only rows where", &select.filters));
    if !select.group_by.is_empty() {
        said.push(format!("Makes one row for each {}.", all(&select.group_by)));
    }
    said.extend(kept("Keeps only groups where", &select.having));
    said.extend(select.windows.iter().map(of_window));
    said.extend(kept(
        "Of the results, keeps only those where",
        &select.qualify,
    ));
    said.extend(select.subqueries.iter().flat_map(of_subquery));
    if select.distinct {
        said.push("Drops duplicate rows.".to_owned());
    }
    if !select.distinct_on.is_empty() {
        said.push(format!(
            "Keeps the first row of each {}.",
            all(&select.distinct_on)
        ));
    }
    if let Some(top) = &select.top {
        said.push(format!("Gives the first {} rows at most.", ticked(top)));
    }
    if let Some(into) = &select.into {
        said.push(format!(
            "Writes the rows into the new table {}.",
            ticked(into)
        ));
    }
    said
}

fn main_clause(select: &Select) -> String {
    let columns: Vec<String> = select.columns.iter().map(returned).collect();
    let columns = if columns.is_empty() {
        "rows".to_owned()
    } else {
        joined(&columns, "and")
    };
    let sources: Vec<String> = select.sources.iter().map(named).collect();
    match sources.len() {
        0 => format!("Returns {columns}."),
        1 => format!("Returns {columns} from {}.", sources[0]),
        _ => format!(
            "Returns {columns} from every combination of rows of {}.",
            joined(&sources, "and")
        ),
    }
}

fn returned(output: &Output) -> String {
    match &output.name {
        Some(name) => format!("{} as {}", output.phrase, ticked(name)),
        None => output.phrase.clone(),
    }
}

fn named(source: &Source) -> String {
    match (&source.name, &source.alias) {
        (Some(name), Some(alias)) if name != alias => {
            format!("{} (as {})", ticked(name), ticked(alias))
        }
        (Some(name), _) => ticked(name),
        (None, Some(alias)) => format!("a subquery (as {})", ticked(alias)),
        (None, None) => "a subquery".to_owned(),
    }
}

fn of_source(source: &Source) -> Vec<String> {
    let Some(query) = &source.subquery else {
        return Vec::new();
    };
    let lead = match &source.alias {
        Some(alias) => format!("The subquery {}", ticked(alias)),
        None => "The subquery".to_owned(),
    };
    inside(&lead, query)
}

/// The sentences about a query within a query, the first of them led by what it is.
fn inside(lead: &str, query: &Query) -> Vec<String> {
    let said = of_query(query);
    let mut said: Vec<String> = said.iter().map(|sentence| lower_first(sentence)).collect();
    let Some(last) = said.pop() else {
        return Vec::new();
    };
    let mut whole: Vec<String> = said
        .iter()
        .map(|sentence| sentence.trim_end_matches('.').to_owned())
        .collect();
    whole.push(last);
    vec![format!("{lead}: {}", whole.join("; "))]
}

fn of_join(join: &Join) -> String {
    let source = named(&join.source);
    let (verb, rest) = match join.kind.as_str() {
        "inner" => ("Joins", "dropping rows without a match"),
        "left" => ("Joins", "keeping rows that have no match there"),
        "right" => ("Joins", "keeping all its rows, with or without a match"),
        "full" => ("Joins", "keeping rows of both sides without a match"),
        "cross" => ("Pairs every row with every row of", ""),
        "natural" => ("Joins", "where columns of the same name are equal"),
        "semi" => ("Keeps rows that have a match in", ""),
        "anti" => ("Keeps rows that have no match in", ""),
        "cross apply" => (
            "For each row, adds the rows of",
            "dropping rows for which there are none",
        ),
        "outer apply" => (
            "For each row, adds the rows of",
            "keeping rows for which there are none",
        ),
        "as of" => ("Joins the nearest row of", ""),
        _ => ("Joins", ""),
    };
    let mut sentence = format!("{verb} {source}");
    if !join.using.is_empty() {
        sentence.push_str(&format!(
            " where {} is the same on both sides",
            all(&join.using)
        ));
    }
    if !join.on.is_empty() {
        sentence.push_str(&format!(" where {}", together(&join.on)));
    }
    if !rest.is_empty() {
        sentence.push_str(&format!(", {rest}"));
    }
    sentence.push('.');
    sentence
}

fn kept(lead: &str, conditions: &[Condition]) -> Option<String> {
    (!conditions.is_empty()).then(|| format!("{lead} {}.", together(conditions)))
}

/// Conditions that all hold; those with "or" in parentheses where there are others.
fn together(conditions: &[Condition]) -> String {
    let several = conditions.len() > 1;
    let parts = conditions.iter().map(|condition| {
        let has_or = condition.phrase.contains(" or ") && !condition.phrase.contains(" one of ");
        match several && has_or {
            true => format!("({})", condition.phrase),
            false => condition.phrase.clone(),
        }
    });
    parts.collect::<Vec<_>>().join(" and ")
}

fn of_window(window: &Window) -> String {
    let mut sentence = format!("Works out {}", ticked(&window.function));
    if !window.partition_by.is_empty() {
        sentence.push_str(&format!(" for each {}", all(&window.partition_by)));
    }
    if !window.order.is_empty() {
        let order: Vec<String> = window.order.iter().map(direction).collect();
        sentence.push_str(&format!(", going by {}", joined(&order, "then")));
    }
    if let Some(frame) = &window.frame {
        sentence.push_str(&format!(" over {}", ticked(frame)));
    }
    sentence.push('.');
    sentence
}

fn of_subquery(subquery: &Subquery) -> Vec<String> {
    let lead = match subquery.role.as_str() {
        "exists" => "The subquery that must find a row",
        "not exists" => "The subquery that must find no row",
        "in" => "The subquery that gives the allowed values",
        "not in" => "The subquery that gives the excluded values",
        _ => "A subquery gives a value",
    };
    inside(lead, &subquery.query)
}

fn sorted(order: &[Order]) -> Option<String> {
    let order: Vec<String> = order.iter().map(direction).collect();
    (!order.is_empty()).then(|| format!("Sorts by {}.", joined(&order, "then")))
}

fn direction(order: &Order) -> String {
    let direction = if order.descending {
        ", largest first"
    } else {
        ""
    };
    let nulls = match order.nulls_first {
        Some(true) => ", nulls first",
        Some(false) => ", nulls last",
        None => "",
    };
    format!("{}{direction}{nulls}", order.phrase)
}

fn limited(limit: &Limit) -> Option<String> {
    let rows = limit.rows.as_deref().map(ticked);
    match (rows, limit.offset.as_deref().map(ticked)) {
        (Some(rows), Some(offset)) => {
            Some(format!("Skips {offset} rows and gives {rows} at most."))
        }
        (Some(rows), None) => Some(format!("Gives {rows} rows at most.")),
        (None, Some(offset)) => Some(format!("Skips {offset} rows.")),
        (None, None) => None,
    }
}

fn of_change(change: &Change) -> Vec<String> {
    let mut said = match change.verb.as_str() {
        "insert" | "replace" => insertion(change),
        "update" => vec![format!(
            "Changes rows of {}: {}.",
            ticked(&change.table),
            settings(change)
        )],
        "delete" => vec![format!("Deletes rows of {}.", ticked(&change.table))],
        _ => merge(change),
    };
    if change.verb != "merge" {
        if !change.reads.is_empty() {
            let reads: Vec<String> = change.reads.iter().map(named).collect();
            said.push(format!("Looks at {} for that.", joined(&reads, "and")));
        }
        said.extend(change.reads.iter().flat_map(of_source));
        said.extend(change.joins.iter().map(of_join));
        match kept("Touches only rows where", &change.filters) {
            Some(sentence) => said.push(sentence),
            None if matches!(change.verb.as_str(), "update" | "delete") => {
                said.push("There is no condition: every row is affected.".to_owned());
            }
            None => {}
        }
    }
    said.extend(change.subqueries.iter().flat_map(of_subquery));
    if let Some(conflict) = &change.conflict {
        said.push(format!("Where such a row is there already, {conflict}."));
    }
    if !change.returning.is_empty() {
        let returning: Vec<String> = change.returning.iter().map(returned).collect();
        said.push(format!(
            "Returns {} of each row.",
            joined(&returning, "and")
        ));
    }
    said
}

fn insertion(change: &Change) -> Vec<String> {
    let table = ticked(&change.table);
    let columns = match change.columns.is_empty() {
        true => String::new(),
        false => format!(" with values for {}", all(&change.columns)),
    };
    let replacing = match change.verb.as_str() {
        "replace" => ", in place of rows with the same key",
        _ => "",
    };
    match &change.source {
        Some(query) if query.selects.is_empty() && query.value_rows > 0 => {
            vec![format!(
                "Adds {} to {table}{columns}{replacing}.",
                counted(query.value_rows, "row")
            )]
        }
        Some(query) => {
            let mut said = vec![format!(
                "Adds the rows of a query to {table}{columns}{replacing}."
            )];
            said.extend(inside("The query", query));
            said
        }
        None if !change.assignments.is_empty() => {
            vec![format!(
                "Adds a row to {table}{replacing}: {}.",
                settings(change)
            )]
        }
        None => vec![format!("Adds a row of defaults to {table}.")],
    }
}

fn settings(change: &Change) -> String {
    let parts = change.assignments.iter();
    let parts: Vec<String> = parts
        .map(|(column, value)| format!("sets {} to {}", ticked(column), ticked(value)))
        .collect();
    joined(&parts, "and")
}

fn merge(change: &Change) -> Vec<String> {
    let source = change.reads.first().map_or("a source".to_owned(), named);
    let mut said = vec![format!(
        "Compares rows of {source} with {} where {}.",
        ticked(&change.table),
        together(&change.filters)
    )];
    for (when, action) in &change.assignments {
        said.push(format!("Rows {when} are {action}."));
    }
    said.extend(change.reads.iter().flat_map(of_source));
    said
}

/// The sentences about a statement that neither reads nor changes rows.
pub(super) fn of_other(statement: &Statement) -> Vec<String> {
    match statement {
        Statement::CreateTable(table) => {
            let columns = table.columns.iter().map(|column| {
                format!(
                    "{} ({})",
                    ticked(&column.name.value),
                    ticked(&column.data_type.to_string())
                )
            });
            let columns: Vec<String> = columns.collect();
            let name = ticked(&table.name.to_string());
            let mut said = vec![match columns.is_empty() {
                true => format!("Creates the table {name}."),
                false => format!(
                    "Creates the table {name} with the columns {}.",
                    joined(&columns, "and")
                ),
            }];
            said.extend(table.constraints.iter().filter_map(of_constraint));
            said
        }
        Statement::CreateIndex(index) => {
            let columns: Vec<String> = index.columns.iter().map(|c| c.to_string()).collect();
            let unique = if index.unique {
                ", which keeps values unique"
            } else {
                ""
            };
            let name = index
                .name
                .as_ref()
                .map_or(String::new(), |n| format!(" {}", ticked(&n.to_string())));
            let table = ticked(&index.table_name.to_string());
            vec![format!(
                "Creates the index{name} on {} of {table}{unique}.",
                all(&columns)
            )]
        }
        Statement::CreateView(view) => {
            let mut said = vec![format!(
                "Creates the view {}.",
                ticked(&view.name.to_string())
            )];
            if let Facts::Query(query) = super::facts::of(&Statement::Query(view.query.clone())) {
                said.extend(inside("Its query", &query));
            }
            said
        }
        Statement::AlterTable(alter) => {
            let table = ticked(&alter.name.to_string());
            let steps = alter
                .operations
                .iter()
                .map(|step| format!("{} in the table {table}.", altered(step)));
            steps.collect()
        }
        Statement::Drop {
            object_type,
            names,
            cascade,
            ..
        } => {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let also = if *cascade {
                ", with everything that depends on it"
            } else {
                ""
            };
            let kind = object_type.to_string().to_lowercase();
            vec![format!("Removes the {kind} {}{also}.", all(&names))]
        }
        Statement::Truncate(truncate) => {
            let names: Vec<String> = truncate
                .table_names
                .iter()
                .map(|t| t.name.to_string())
                .collect();
            vec![format!("Empties {}.", all(&names))]
        }
        Statement::Explain {
            statement, analyze, ..
        } => {
            let mut said = vec![match analyze {
                true => "Runs a statement and shows how the database does it.".to_owned(),
                false => {
                    "Shows how the database would run a statement, without running it.".to_owned()
                }
            }];
            said.extend(of(&super::facts::of(statement)));
            said
        }
        other => vec![format!("Runs {}.", ticked(&other.to_string()))],
    }
}

fn of_constraint(constraint: &TableConstraint) -> Option<String> {
    Some(match constraint {
        TableConstraint::PrimaryKey(key) => {
            let columns: Vec<String> = key.columns.iter().map(ToString::to_string).collect();
            format!("Its primary key is {}.", all(&columns))
        }
        TableConstraint::Unique(unique) => {
            let columns: Vec<String> = unique.columns.iter().map(ToString::to_string).collect();
            format!("It holds each {} once.", all(&columns))
        }
        TableConstraint::ForeignKey(key) => {
            let columns: Vec<String> = key.columns.iter().map(|c| c.value.clone()).collect();
            format!(
                "Its {} points at {}.",
                all(&columns),
                ticked(&key.foreign_table.to_string())
            )
        }
        TableConstraint::Check(check) => {
            format!("In each row, {} holds.", ticked(&check.expr.to_string()))
        }
        _ => return None,
    })
}

fn altered(step: &AlterTableOperation) -> String {
    match step {
        AlterTableOperation::AddColumn { column_def, .. } => format!(
            "Adds the column {} ({})",
            ticked(&column_def.name.value),
            ticked(&column_def.data_type.to_string())
        ),
        AlterTableOperation::DropColumn { column_names, .. } => {
            let names: Vec<String> = column_names.iter().map(|name| name.value.clone()).collect();
            format!("Removes the column {}", all(&names))
        }
        AlterTableOperation::RenameColumn {
            old_column_name,
            new_column_name,
        } => format!(
            "Renames the column {} to {}",
            ticked(&old_column_name.value),
            ticked(&new_column_name.value)
        ),
        other => format!("Does {}", ticked(&other.to_string())),
    }
}

fn all(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| ticked(name)).collect();
    joined(&names, "and")
}

fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

fn lower_first(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

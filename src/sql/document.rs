//! A schema as a Markdown page: every table with its columns, keys and rules, and a picture of how they hang
//! together.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Column, Schema, Table};

/// Above this many tables a drawing is a tangle.
const MOST_DRAWN: usize = 60;

/// The page. The same schema always gives the same text.
pub fn document(schema: &Schema) -> String {
    let mut page = String::from("# Database schema\n\n");
    let _ = writeln!(page, "{}\n", overview(schema));
    contents(&mut page, schema);
    if schema.tables.len() <= MOST_DRAWN {
        drawing(&mut page, schema);
    }
    let referrers = referrers(schema);
    for table in &schema.tables {
        let pointed_at_by = referrers.get(&table.full_name());
        section(&mut page, table, pointed_at_by.map_or(&[], Vec::as_slice));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn overview(schema: &Schema) -> String {
    let columns: usize = schema.tables.iter().map(|table| table.columns.len()).sum();
    let links: usize = schema.tables.iter().map(|t| t.foreign_keys.len()).sum();
    format!(
        "{}, {}, {}. Dialect: {}.",
        counted(schema.tables.len(), "table"),
        counted(columns, "column"),
        counted(links, "foreign key"),
        schema.dialect.name()
    )
}

fn counted(count: usize, noun: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

fn contents(page: &mut String, schema: &Schema) {
    page.push_str("| Table | Columns | Rows | Description |\n| --- | ---: | ---: | --- |\n");
    for table in &schema.tables {
        let name = table.full_name();
        let rows = table.rows.map_or(String::new(), |rows| format!("~{rows}"));
        let _ = writeln!(
            page,
            "| [{}](#{}) | {} | {rows} | {} |",
            cell(&name),
            anchor(&name),
            table.columns.len(),
            cell(table.comment.as_deref().unwrap_or_default())
        );
    }
    page.push('\n');
}

/// An entity diagram that Markdown viewers with Mermaid draw; left out where nothing is linked.
fn drawing(page: &mut String, schema: &Schema) {
    let links: Vec<String> = schema.tables.iter().flat_map(drawn_links).collect();
    if links.is_empty() {
        return;
    }
    page.push_str("```mermaid\nerDiagram\n");
    for link in links {
        let _ = writeln!(page, "    {link}");
    }
    page.push_str("```\n\n");
}

fn drawn_links(table: &Table) -> Vec<String> {
    let links = table.foreign_keys.iter().map(|key| {
        let many = if is_unique(table, &key.columns) {
            "o|"
        } else {
            "o{"
        };
        let optional = key.columns.iter().any(|name| may_be_null(table, name));
        let one = if optional { "|o" } else { "||" };
        let (target, own) = (drawn(&key.table), drawn(&table.full_name()));
        format!(
            "{target} {one}--{many} {own} : {}",
            drawn(&key.columns.join(", "))
        )
    });
    links.collect()
}

fn may_be_null(table: &Table, column: &str) -> bool {
    table.column(column).is_some_and(|column| column.nullable)
}

/// Whether the columns hold each value once.
fn is_unique(table: &Table, columns: &[String]) -> bool {
    let same =
        |other: &[String]| !other.is_empty() && other.iter().all(|name| columns.contains(name));
    same(&table.primary_key)
        || table.uniques.iter().any(|unique| same(unique))
        || table
            .indexes
            .iter()
            .any(|index| index.unique && same(&index.columns))
}

/// A name as Mermaid takes it: in quotes, without what would end them.
fn drawn(name: &str) -> String {
    let plain = name.chars().filter(|c| !c.is_control() && *c != '"');
    format!("\"{}\"", plain.collect::<String>())
}

/// Which tables point at each table, as `table.column`.
fn referrers(schema: &Schema) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in &schema.tables {
        for key in &table.foreign_keys {
            let Some(target) = schema.table(&key.table) else {
                continue;
            };
            let from = format!("{}({})", table.full_name(), key.columns.join(", "));
            found.entry(target.full_name()).or_default().push(from);
        }
    }
    found
}

fn section(page: &mut String, table: &Table, pointed_at_by: &[String]) {
    let _ = writeln!(page, "## {}\n", heading(&table.full_name()));
    if let Some(comment) = table
        .comment
        .as_deref()
        .filter(|text| !text.trim().is_empty())
    {
        let _ = writeln!(page, "{}\n", prose(comment));
    }
    columns(page, table);
    let facts = facts(table, pointed_at_by);
    for fact in &facts {
        let _ = writeln!(page, "- {fact}");
    }
    if !facts.is_empty() {
        page.push('\n');
    }
}

fn columns(page: &mut String, table: &Table) {
    page.push_str("| Column | Type | Null | Key | Default | Description |\n");
    page.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for column in &table.columns {
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} |",
            code(&column.name),
            code(&column.type_name),
            if column.nullable { "yes" } else { "no" },
            keys(table, &column.name),
            column.default.as_deref().map_or(String::new(), code),
            described(column)
        );
    }
    page.push('\n');
}

fn keys(table: &Table, column: &str) -> String {
    let holds = |names: &[String]| names.iter().any(|name| name == column);
    let mut keys = Vec::new();
    if holds(&table.primary_key) {
        keys.push("primary".to_owned());
    }
    for key in table.foreign_keys.iter().filter(|key| holds(&key.columns)) {
        keys.push(format!("→ {}", cell(&key.table)));
    }
    if table.uniques.iter().any(|unique| holds(unique)) {
        keys.push("unique".to_owned());
    }
    keys.join(", ")
}

fn described(column: &Column) -> String {
    let mut text = cell(column.comment.as_deref().unwrap_or_default());
    if !column.samples.is_empty() {
        let samples: Vec<String> = column.samples.iter().map(|value| code(value)).collect();
        let gap = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{gap}e.g. {}", samples.join(", "));
    }
    text
}

fn facts(table: &Table, pointed_at_by: &[String]) -> Vec<String> {
    let mut facts = Vec::new();
    if !table.primary_key.is_empty() {
        facts.push(format!("Primary key: {}", listed(&table.primary_key)));
    }
    for key in &table.foreign_keys {
        facts.push(format!(
            "Foreign key: {} points at {}",
            listed(&key.columns),
            code(&format!("{}({})", key.table, key.references.join(", ")))
        ));
    }
    if !pointed_at_by.is_empty() {
        facts.push(format!("Pointed at by: {}", listed(pointed_at_by)));
    }
    for unique in &table.uniques {
        facts.push(format!("Unique: {}", listed(unique)));
    }
    for index in &table.indexes {
        let kind = if index.unique {
            "Unique index"
        } else {
            "Index"
        };
        let name = index
            .name
            .as_deref()
            .map_or(String::new(), |n| format!(" {}", code(n)));
        facts.push(format!("{kind}{name} on {}", listed(&index.columns)));
    }
    for check in &table.checks {
        facts.push(format!("Check: {}", code(check)));
    }
    facts.extend(
        table
            .rows
            .map(|rows| format!("About {}", counted(rows as usize, "row"))),
    );
    facts
}

fn listed(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| code(name)).collect();
    names.join(", ")
}

/// Text as inline code, also inside a table cell.
fn code(text: &str) -> String {
    let text = one_line(text).replace('|', "\\|");
    // A run of backticks in the text wants a longer run around it.
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match longest {
        0 if text.is_empty() => String::new(),
        0 => format!("`{text}`"),
        _ => format!("{fence} {text} {fence}"),
    }
}

/// Text inside a table cell, so that nothing in it is markup.
fn cell(text: &str) -> String {
    escaped(&one_line(text))
}

fn heading(text: &str) -> String {
    escaped(&one_line(text))
}

fn prose(text: &str) -> String {
    escaped(&one_line(text))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '#') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The fragment that Markdown viewers give a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter_map(|letter| match letter {
        ' ' => Some('-'),
        _ if letter.is_alphanumeric() || matches!(letter, '_' | '-') => Some(letter),
        _ => None,
    });
    kept.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{ForeignKey, Index, Kind};

    fn shop() -> Schema {
        let column = |name: &str, type_name: &str, nullable| Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            kind: Kind::of(type_name),
            nullable,
            ..Column::default()
        };
        let customers = Table {
            name: "customers".to_owned(),
            columns: vec![
                column("id", "bigint", false),
                column("email", "text", false),
            ],
            primary_key: vec!["id".to_owned()],
            uniques: vec![vec!["email".to_owned()]],
            comment: Some("People | who <buy>\nthings".to_owned()),
            rows: Some(1200),
            ..Table::default()
        };
        let mut status = column("status", "text", false);
        status.default = Some("'new'".to_owned());
        status.comment = Some("Where it is".to_owned());
        status.samples = vec!["new".to_owned(), "paid".to_owned()];
        let orders = Table {
            name: "orders".to_owned(),
            columns: vec![
                column("id", "bigint", false),
                column("customer_id", "bigint", true),
                status,
            ],
            primary_key: vec!["id".to_owned()],
            foreign_keys: vec![ForeignKey {
                columns: vec!["customer_id".to_owned()],
                table: "customers".to_owned(),
                references: vec!["id".to_owned()],
            }],
            indexes: vec![Index {
                name: Some("orders_status".to_owned()),
                columns: vec!["status".to_owned()],
                unique: false,
            }],
            checks: vec!["status IN ('new', 'paid') OR status || '' = 'x'".to_owned()],
            ..Table::default()
        };
        Schema {
            tables: vec![customers, orders],
            ..Schema::default()
        }
    }

    #[test]
    fn every_table_column_and_rule_is_there() {
        let page = document(&shop());
        for want in [
            "2 tables, 5 columns, 1 foreign key. Dialect: postgres.",
            "| [orders](#orders) | 3 |  |  |",
            "| `status` | `text` | no |  | `'new'` | Where it is e.g. `new`, `paid` |",
            "| `customer_id` | `bigint` | yes | → customers |  |  |",
            "- Foreign key: `customer_id` points at `customers(id)`",
            "- Pointed at by: `orders(customer_id)`",
            "- Unique: `email`",
            "- Index `orders_status` on `status`",
            "- About 1200 rows",
            "\"customers\" |o--o{ \"orders\" : \"customer_id\"",
        ] {
            assert!(page.contains(want), "{want:?} is not in\n{page}");
        }
    }

    #[test]
    fn nothing_in_a_schema_breaks_the_page() {
        let page = document(&shop());
        assert!(page.contains("People \\| who \\<buy\\> things"), "{page}");
        assert!(page.contains("status \\|\\| ''"), "{page}");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        for row in rows {
            let bars = row.replace("\\|", "").matches('|').count();
            assert_eq!(bars, 7, "{row}");
        }
        assert_eq!(code("a`b"), "`` a`b ``");
    }

    #[test]
    fn an_empty_schema_has_a_page() {
        assert!(document(&Schema::default()).contains("0 tables"));
    }
}

//! Rows to try a schema with: `INSERT`s that its types, keys and checks accept.

mod cell;
mod checks;
mod rows;
mod values;

use std::collections::HashMap;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::names::written;
use super::{Dialect, Schema, Table};

use rows::{Made, Maker};

/// Rows of a table at most.
pub const MOST_ROWS: usize = 10_000;
/// Values of all rows of all tables at most; keys count like columns.
const MOST_VALUES: usize = 1_000_000;
/// Bytes of all texts at most. Where they are long, tables get fewer rows.
const MOST_BYTES: usize = 32 << 20;
/// Rows of one statement.
const BATCH: usize = 100;

/// Statements that fill the tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TestData {
    /// In an order in which foreign keys find their targets.
    pub statements: Vec<String>,
    /// Tables that got fewer rows than asked for, checks that were not understood, columns left to the database.
    pub warnings: Vec<String>,
}

/// Rows that each table can get: [`MOST_ROWS`], or fewer where all tables together have very many columns.
pub fn most_rows(schema: &Schema) -> usize {
    let tables = schema.tables.iter();
    let width = tables.map(|table| table.columns.len() + table.uniques.len() + table.indexes.len());
    let width: usize = width.sum();
    (MOST_VALUES / width.max(1)).clamp(1, MOST_ROWS)
}

/// Makes `rows` rows for each table, [`most_rows`] at most. The same seed gives the same rows.
pub fn testdata(schema: &Schema, rows: usize, seed: u64) -> TestData {
    let mut filler = Filler {
        schema,
        rows: rows.min(most_rows(schema)),
        left_bytes: MOST_BYTES,
        random: ChaCha8Rng::seed_from_u64(seed),
        made: HashMap::new(),
        later: Vec::new(),
        data: TestData::default(),
    };
    for at in order(schema) {
        filler.fill(at);
    }
    filler.finish()
}

/// Tables after those that their foreign keys point at. Where keys make a circle, one that may be null gives way.
fn order(schema: &Schema) -> Vec<usize> {
    let mut waiting: Vec<usize> = (0..schema.tables.len()).collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let blocked = |at: usize, only_required: bool| {
            let table = &schema.tables[at];
            table.foreign_keys.iter().any(|key| {
                let target = target(schema, &key.table).filter(|target| *target != at);
                let counts = !only_required || !may_be_null(table, &key.columns);
                counts && target.is_some_and(|target| waiting.contains(&target))
            })
        };
        let free = waiting.iter().position(|at| !blocked(*at, false));
        let free = free.or_else(|| waiting.iter().position(|at| !blocked(*at, true)));
        order.push(waiting.remove(free.unwrap_or(0)));
    }
    order
}

/// Where the table of this name is.
fn target(schema: &Schema, name: &str) -> Option<usize> {
    let table = schema.table(name)?;
    schema
        .tables
        .iter()
        .position(|other| std::ptr::eq(other, table))
}

fn may_be_null(table: &Table, columns: &[String]) -> bool {
    columns.iter().any(|name| {
        table.column(name).is_some_and(|column| column.nullable)
            && !table.primary_key.contains(name)
    })
}

struct Filler<'a> {
    schema: &'a Schema,
    rows: usize,
    /// What texts may still take.
    left_bytes: usize,
    random: ChaCha8Rng,
    made: HashMap<usize, Made>,
    /// `UPDATE`s that close circles of foreign keys.
    later: Vec<String>,
    data: TestData,
}

impl Filler<'_> {
    fn fill(&mut self, at: usize) {
        let table = &self.schema.tables[at];
        let mut maker = Maker::new(self.schema, at, &self.made, &mut self.random);
        let mut is_full = false;
        for row in 0..self.rows {
            is_full = maker.size_bytes() >= self.left_bytes;
            if is_full || !maker.make_row(row) {
                break;
            }
        }
        self.left_bytes = self.left_bytes.saturating_sub(maker.size_bytes());
        let (made, mut warnings) = maker.finish();
        if made.rows.len() < self.rows {
            let reason = match is_full {
                true => format!("all texts together take {MOST_BYTES} bytes at most"),
                false => "its keys and checks allow no more, or they were not found".to_owned(),
            };
            warnings.push(format!(
                "{} got {} of {} rows: {reason}",
                table.full_name(),
                made.rows.len(),
                self.rows
            ));
        }
        self.data.warnings.extend(warnings);
        self.insert(table, &made);
        self.made.insert(at, made);
        self.close_circles(at);
    }

    fn insert(&mut self, table: &Table, made: &Made) {
        let dialect = self.schema.dialect;
        let name = table_name(dialect, table);
        let columns: Vec<usize> = (0..table.columns.len())
            .filter(|at| !made.skipped.contains(at))
            .collect();
        let names: Vec<String> = columns
            .iter()
            .map(|at| written(dialect, &table.columns[*at].name))
            .collect();
        if names.is_empty() {
            return;
        }
        let identity = table
            .columns
            .iter()
            .any(|column| is_identity(column.default.as_deref()));
        let overriding = match dialect {
            Dialect::Postgres if identity => " OVERRIDING SYSTEM VALUE",
            _ => "",
        };
        let fenced = identity && dialect == Dialect::MsSql;
        if fenced {
            self.data
                .statements
                .push(format!("SET IDENTITY_INSERT {name} ON;"));
        }
        for rows in made.rows.chunks(BATCH) {
            let rows = rows.iter().map(|row| {
                let cells = columns
                    .iter()
                    .map(|at| row[*at].literal(dialect, table.columns[*at].kind));
                format!("  ({})", cells.collect::<Vec<_>>().join(", "))
            });
            let rows: Vec<String> = rows.collect();
            self.data.statements.push(format!(
                "INSERT INTO {name} ({}){overriding} VALUES\n{};",
                names.join(", "),
                rows.join(",\n")
            ));
        }
        if fenced {
            self.data
                .statements
                .push(format!("SET IDENTITY_INSERT {name} OFF;"));
        }
        self.count_on(table, made);
    }

    /// Lets PostgreSQL's sequences go on after the keys that were written.
    fn count_on(&mut self, table: &Table, made: &Made) {
        if self.schema.dialect != Dialect::Postgres || made.rows.is_empty() {
            return;
        }
        for (at, column) in table.columns.iter().enumerate() {
            let counts = column.default.as_deref().is_some_and(|default| {
                default.to_lowercase().contains("nextval") || is_identity(Some(default))
            });
            let highest = made.rows.iter().filter_map(|row| row[at].integer()).max();
            if let Some(highest) = highest.filter(|_| counts) {
                let name = table_name(self.schema.dialect, table).replace('\'', "''");
                let column = column.name.replace('\'', "''");
                self.later.push(format!(
                    "SELECT setval(pg_get_serial_sequence('{name}', '{column}'), {highest});"
                ));
            }
        }
    }

    /// Points rows of earlier tables at those of this one where that had to wait.
    fn close_circles(&mut self, at: usize) {
        let Some(made) = self.made.get(&at) else {
            return;
        };
        let dialect = self.schema.dialect;
        for (owner, source) in self.schema.tables.iter().enumerate() {
            let Some(own) = self.made.get(&owner).filter(|_| owner != at) else {
                continue;
            };
            let keys = source
                .foreign_keys
                .iter()
                .enumerate()
                .filter(|(key_at, _)| own.waiting.contains(key_at));
            for (_, key) in keys.filter(|(_, key)| target(self.schema, &key.table) == Some(at)) {
                let target_table = &self.schema.tables[at];
                let places: Option<Vec<usize>> = key
                    .references
                    .iter()
                    .map(|name| place(target_table, name))
                    .collect();
                let (Some(places), Some(row)) = (places, made.rows.first()) else {
                    continue;
                };
                let sets = key.columns.iter().zip(places).map(|(column, at)| {
                    let literal = row[at].literal(dialect, target_table.columns[at].kind);
                    format!("{} = {literal}", written(dialect, column))
                });
                let sets: Vec<String> = sets.collect();
                let name = table_name(dialect, source);
                let is_unique = source.uniques.iter().any(|unique| unique == &key.columns);
                if !is_unique {
                    self.later
                        .push(format!("UPDATE {name} SET {};", sets.join(", ")));
                }
            }
        }
    }

    fn finish(mut self) -> TestData {
        self.data.statements.append(&mut self.later);
        self.data
    }
}

fn place(table: &Table, column: &str) -> Option<usize> {
    let found = table.columns.iter().position(|own| own.name == column);
    found.or_else(|| {
        table
            .columns
            .iter()
            .position(|own| own.name.eq_ignore_ascii_case(column))
    })
}

fn table_name(dialect: Dialect, table: &Table) -> String {
    match &table.namespace {
        Some(namespace) => format!(
            "{}.{}",
            written(dialect, namespace),
            written(dialect, &table.name)
        ),
        None => written(dialect, &table.name),
    }
}

fn is_identity(default: Option<&str>) -> bool {
    default.is_some_and(|text| text.to_uppercase().contains("IDENTITY"))
}

#[cfg(test)]
mod tests;

//! The rows of one table.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::sql::{Schema, Table};

use super::cell::Cell;
use super::checks::{self, Bounds, Check};
use super::values::{self, Wanted};
use super::{place, target};

/// Times a row is tried at random before the ways to point at other tables are gone through one by one.
const TRIES: usize = 40;
/// Ways to point at other tables that are gone through.
const MOST_WAYS: usize = 5_000;

/// The rows of a table that was filled.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) rows: Vec<Vec<Cell>>,
    /// Columns that the database fills.
    pub(super) skipped: Vec<usize>,
    /// Foreign keys whose target had no rows yet.
    pub(super) waiting: Vec<usize>,
}

/// A foreign key as the maker sees it.
struct Link {
    /// Columns here, and there.
    columns: Vec<(usize, usize)>,
    /// The table it points at; its own if it points at itself.
    target: usize,
    /// Whether it may point at nothing.
    optional: bool,
}

pub(super) struct Maker<'a> {
    table: &'a Table,
    at: usize,
    dialect: crate::sql::Dialect,
    made: &'a HashMap<usize, Made>,
    random: &'a mut ChaCha8Rng,
    checks: Vec<Check>,
    bounds: Vec<Bounds>,
    pairs: Vec<(usize, usize)>,
    links: Vec<Link>,
    /// Columns whose values differ from row to row, with those they differ with.
    uniques: Vec<(Vec<usize>, HashSet<u64>)>,
    result: Made,
    /// Bytes of the texts of its rows.
    size_bytes: usize,
    warnings: Vec<String>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(
        schema: &'a Schema,
        at: usize,
        made: &'a HashMap<usize, Made>,
        random: &'a mut ChaCha8Rng,
    ) -> Maker<'a> {
        let table = &schema.tables[at];
        let (checks, unread) = checks::read(table, schema.dialect);
        let mut bounds = vec![Bounds::default(); table.columns.len()];
        let mut pairs = Vec::new();
        for check in &checks {
            check.narrow(table, &mut bounds);
            pairs.extend(check.ordered_pairs(table));
        }
        let warnings = unread.iter().map(|check| {
            format!(
                "{}: the check {check} is not understood; rows may break it",
                table.full_name()
            )
        });
        let mut maker = Maker {
            table,
            at,
            dialect: schema.dialect,
            made,
            random,
            bounds,
            pairs,
            links: Vec::new(),
            uniques: uniques(table),
            result: Made::default(),
            size_bytes: 0,
            warnings: warnings.collect(),
            checks,
        };
        maker.link(schema);
        maker.skip();
        maker
    }

    fn link(&mut self, schema: &Schema) {
        for (key_at, key) in self.table.foreign_keys.iter().enumerate() {
            let Some(target) = target(schema, &key.table) else {
                let name = self.table.full_name();
                self.warnings.push(format!(
                    "{name}: {} points at {}, which is not there",
                    key.columns.join(", "),
                    key.table
                ));
                continue;
            };
            let there = &schema.tables[target];
            let references = if key.references.is_empty() {
                &there.primary_key
            } else {
                &key.references
            };
            let columns = key.columns.iter().zip(references);
            let columns: Option<Vec<(usize, usize)>> = columns
                .map(|(own, other)| Some((place(self.table, own)?, place(there, other)?)))
                .collect();
            let Some(columns) = columns else { continue };
            let optional = columns.iter().any(|(own, _)| self.may_be_null(*own));
            let is_filled = target == self.at
                || self
                    .made
                    .get(&target)
                    .is_some_and(|made| !made.rows.is_empty());
            if !is_filled {
                self.result.waiting.push(key_at);
                if !optional {
                    let name = self.table.full_name();
                    self.warnings.push(format!(
                        "{name}: {} points at {}, which has no rows yet: foreign keys make a circle or it is empty",
                        key.columns.join(", "),
                        key.table
                    ));
                }
            }
            self.links.push(Link {
                columns,
                target,
                optional,
            });
        }
    }

    fn may_be_null(&self, column: usize) -> bool {
        let column = &self.table.columns[column];
        column.nullable && !self.table.primary_key.contains(&column.name)
    }

    /// Columns worked out from others are left to the database.
    fn skip(&mut self) {
        for (at, column) in self.table.columns.iter().enumerate() {
            let default = column.default.as_deref().unwrap_or_default().to_uppercase();
            let is_computed = (default.starts_with("GENERATED") || default.starts_with("AS "))
                && !default.contains("IDENTITY");
            if is_computed || column.type_name.to_lowercase().contains("rowversion") {
                self.result.skipped.push(at);
            }
        }
    }

    /// Bytes of the texts of the rows that were made.
    pub(super) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(super) fn finish(self) -> (Made, Vec<String>) {
        (self.result, self.warnings)
    }

    /// Makes one more row; false if there is none that all rules accept.
    pub(super) fn make_row(&mut self, number: usize) -> bool {
        for _ in 0..TRIES {
            let choice: Vec<usize> = self.links.iter().map(|_| usize::MAX).collect();
            if self.try_row(number, &choice) {
                return true;
            }
        }
        let sizes: Vec<usize> = self
            .links
            .iter()
            .map(|link| self.rows_of(link.target))
            .collect();
        let ways = sizes
            .iter()
            .fold(1_usize, |all, size| all.saturating_mul((*size).max(1)));
        if self.links.is_empty() {
            return false;
        }
        for way in 0..ways.min(MOST_WAYS) {
            let mut rest = way;
            let choice = sizes.iter().map(|size| {
                let size = (*size).max(1);
                let digit = rest % size;
                rest /= size;
                digit
            });
            let choice: Vec<usize> = choice.collect();
            if self.try_row(number, &choice) {
                return true;
            }
        }
        false
    }

    fn rows_of(&self, target: usize) -> usize {
        match target == self.at {
            true => self.result.rows.len(),
            false => self.made.get(&target).map_or(0, |made| made.rows.len()),
        }
    }

    /// `choice` has the row that each foreign key points at; `usize::MAX` for any.
    fn try_row(&mut self, number: usize, choice: &[usize]) -> bool {
        let mut row: Vec<Option<Cell>> = vec![None; self.table.columns.len()];
        for (link_at, chosen) in choice.iter().enumerate() {
            self.point(link_at, *chosen, &mut row);
        }
        for (at, cell) in row.iter_mut().enumerate() {
            if cell.is_none() {
                *cell = Some(self.value(at, number));
            }
        }
        let mut row: Vec<Cell> = row
            .into_iter()
            .map(|cell| cell.unwrap_or(Cell::Null))
            .collect();
        self.point_at_itself(&mut row);
        self.put_in_order(&mut row);
        if self
            .checks
            .iter()
            .any(|check| check.fails(self.table, &row))
        {
            return false;
        }
        let keys: Vec<Option<u64>> = self
            .uniques
            .iter()
            .map(|(columns, _)| key(columns, &row))
            .collect();
        let taken = self
            .uniques
            .iter()
            .zip(&keys)
            .any(|((_, taken), key)| key.as_ref().is_some_and(|key| taken.contains(key)));
        if taken {
            return false;
        }
        for ((_, taken), key) in self.uniques.iter_mut().zip(keys) {
            taken.extend(key);
        }
        self.size_bytes += row.iter().map(Cell::size_bytes).sum::<usize>();
        self.result.rows.push(row);
        true
    }

    fn point(&mut self, link_at: usize, chosen: usize, row: &mut [Option<Cell>]) {
        let link = &self.links[link_at];
        let count = self.rows_of(link.target);
        let to_nothing =
            count == 0 || (link.optional && chosen == usize::MAX && self.random.random_bool(0.125));
        if to_nothing {
            // The first row of a table that must point at itself does so.
            let open = link
                .columns
                .iter()
                .filter(|(own, _)| link.optional && self.may_be_null(*own));
            let open: Vec<usize> = open.map(|(own, _)| *own).collect();
            for own in open {
                row[own].get_or_insert(Cell::Null);
            }
            return;
        }
        let at = if chosen == usize::MAX {
            self.random.random_range(0..count)
        } else {
            chosen.min(count - 1)
        };
        let rows = match link.target == self.at {
            true => &self.result.rows,
            false => &self.made[&link.target].rows,
        };
        for (own, other) in &link.columns {
            // Two keys may share a column; the first one decides.
            row[*own].get_or_insert_with(|| rows[at][*other].clone());
        }
    }

    /// The first row of a table that must point at itself.
    fn point_at_itself(&self, row: &mut [Cell]) {
        let own = self
            .links
            .iter()
            .filter(|link| link.target == self.at && !link.optional);
        for link in own.filter(|_| self.result.rows.is_empty()) {
            for (from, to) in &link.columns {
                row[*from] = row[*to].clone();
            }
        }
    }

    /// Swaps values that a check wants the other way round.
    fn put_in_order(&self, row: &mut [Cell]) {
        let is_linked = |at: usize| {
            self.links
                .iter()
                .any(|link| link.columns.iter().any(|(own, _)| *own == at))
        };
        for &(low, high) in &self.pairs {
            let is_wrong = row[low].compare(&row[high]) == Some(std::cmp::Ordering::Greater);
            if is_wrong && !is_linked(low) && !is_linked(high) {
                row.swap(low, high);
            }
        }
    }

    fn value(&mut self, at: usize, number: usize) -> Cell {
        let column = &self.table.columns[at];
        if self.may_be_null(at) && self.random.random_bool(0.125) {
            return Cell::Null;
        }
        let alone = self.uniques.iter().any(|(columns, _)| *columns == [at]);
        let shared = self
            .uniques
            .iter()
            .any(|(columns, _)| columns.contains(&at));
        let wanted = Wanted {
            table: self.table,
            column,
            bounds: &self.bounds[at],
            number,
            is_key: self.table.primary_key == [column.name.clone()],
            is_unique: alone,
            is_varied: shared,
            dialect: self.dialect,
        };
        values::value(&wanted, self.random)
    }
}

/// Sets of columns whose values must differ.
fn uniques(table: &Table) -> Vec<(Vec<usize>, HashSet<u64>)> {
    let indexes = table
        .indexes
        .iter()
        .filter(|index| index.unique)
        .map(|index| &index.columns);
    let sets = std::iter::once(&table.primary_key)
        .chain(&table.uniques)
        .chain(indexes);
    let sets = sets.filter_map(|names| {
        let columns: Option<Vec<usize>> = names.iter().map(|name| place(table, name)).collect();
        columns.filter(|columns| !columns.is_empty())
    });
    sets.map(|columns| (columns, HashSet::new())).collect()
}

/// What must differ from row to row, as a hash; nothing where a null makes it differ anyway. Text counts without
/// regard to case, as some databases compare it. Rows whose hashes are the same by chance only cost a try.
fn key(columns: &[usize], row: &[Cell]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for at in columns {
        match &row[*at] {
            Cell::Null => return None,
            cell => format!("{cell:?}").to_lowercase().hash(&mut hasher),
        }
    }
    Some(hasher.finish())
}

//! Which tables of a schema a question is about: words of the question against names, comments, descriptions
//! and examples (BM25), fused with meanings where something scores them, then foreign keys to what lies between.

mod fuse;
mod index;
mod prompt;
mod refuse;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Schema;
use super::names::nearest;

use index::Index;
pub use prompt::{budgeted, ddl};
pub use refuse::Unanswerable;

/// Tables at most, however small they are.
const MOST_TABLES: usize = 24;
/// Examples shown with a question.
const MOST_EXAMPLES: usize = 3;
/// A table with less than this share of the best one's score is not about the question by itself.
const SHARE: f32 = 0.3;
/// Foreign keys between two tables of a question, at most.
const HOPS: usize = 4;

/// What people say of a schema beyond its DDL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hints {
    /// Descriptions, by `table` or `table.column`.
    #[serde(default)]
    pub descriptions: BTreeMap<String, String>,
    /// Questions with statements that answer them.
    #[serde(default)]
    pub examples: Vec<Example>,
}

/// A question with a statement that answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// In words.
    pub question: String,
    /// In SQL.
    pub sql: String,
}

/// Scores texts against a question by what they mean.
pub trait Scorer: Sync {
    /// The cosine of each text with the question, 1 where they say the same; `None` if it cannot tell.
    fn scores(&self, question: &str, texts: &[String]) -> Option<Vec<f32>>;
}

/// A schema made ready for questions.
pub struct Linker {
    schema: Schema,
    examples: Vec<Example>,
    index: Index,
    /// What tables say of themselves, then the questions of the examples.
    texts: Vec<String>,
    /// Tables that a foreign key joins, by place.
    neighbours: Vec<BTreeSet<usize>>,
}

/// What a question is about.
#[derive(Clone, Debug)]
pub struct Linked {
    /// The tables of the question alone, in the schema's order.
    pub schema: Schema,
    /// Of these tables, those that the question is surely about, and what joins them: for a model that gets lost
    /// among more.
    pub narrow: Schema,
    /// Examples like the question, the likest first.
    pub examples: Vec<Example>,
}

impl Linker {
    /// Reads all words of a schema once.
    pub fn new(mut schema: Schema, hints: &Hints) -> Linker {
        describe(&mut schema, hints);
        let index = Index::new(&schema, &hints.examples);
        let mut neighbours = vec![BTreeSet::new(); schema.tables.len()];
        for (at, table) in schema.tables.iter().enumerate() {
            for key in &table.foreign_keys {
                if let Some(target) = place(&schema, &key.table).filter(|&target| target != at) {
                    neighbours[at].insert(target);
                    neighbours[target].insert(at);
                }
            }
        }
        let examples = hints.examples.iter().map(|example| &example.question);
        let texts = schema.tables.iter().map(index::text);
        Linker {
            texts: texts.chain(examples.cloned()).collect(),
            schema,
            examples: hints.examples.clone(),
            index,
            neighbours,
        }
    }

    /// The whole schema, with the descriptions as comments.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What a [`Scorer`] scores: a text for each table, then the examples' questions. The same for the same schema
    /// and hints.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The tables that a question is about, as many as `budget_tokens` of prompt hold.
    ///
    /// # Errors
    /// A question that the schema cannot answer.
    pub fn link(
        &self,
        question: &str,
        budget_tokens: usize,
        scorer: Option<&dyn Scorer>,
    ) -> Result<Linked, Unanswerable> {
        let mut scores = self.index.scores(question);
        let mut like = self.index.examples_like(question);
        let meant = scorer.and_then(|scorer| scorer.scores(question, &self.texts));
        if let Some(meant) = meant.filter(|meant| meant.len() == self.texts.len()) {
            let (of_tables, of_examples) = meant.split_at(scores.len());
            scores = fuse::fused(&scores, of_tables);
            like = fuse::fused(&like, of_examples);
        }
        refuse::check(&self.index, question, &scores, || {
            self.nearest(question, &scores)
        })?;
        let fitted = |is_narrow: bool| {
            let chosen = self.choose(&scores, budget_tokens, is_narrow);
            let tables = chosen.iter().map(|&at| self.schema.tables[at].clone());
            let schema = Schema {
                dialect: self.schema.dialect,
                tables: tables.collect(),
            };
            budgeted(schema, budget_tokens, |table, column| {
                self.index.is_named(question, table, column)
            })
        };
        let mut examples: Vec<usize> = (0..like.len()).filter(|&at| like[at] > 0.0).collect();
        examples.sort_by(|&a, &b| like[b].total_cmp(&like[a]).then(a.cmp(&b)));
        examples.truncate(MOST_EXAMPLES);
        Ok(Linked {
            schema: fitted(false),
            narrow: fitted(true),
            examples: examples
                .into_iter()
                .map(|at| self.examples[at].clone())
                .collect(),
        })
    }

    /// Tables most like a question that none answers.
    fn nearest(&self, question: &str, scores: &[f32]) -> Vec<String> {
        let mut ranked: Vec<usize> = (0..scores.len()).filter(|&at| scores[at] > 0.0).collect();
        ranked.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut names: Vec<String> = ranked
            .iter()
            .map(|&at| self.schema.tables[at].full_name())
            .collect();
        for word in super::names::words(question) {
            let tables = self.schema.tables.iter().map(|table| table.name.as_str());
            names.extend(nearest(&word, tables, 1));
        }
        names.extend(self.schema.tables.iter().map(|table| table.full_name()));
        let mut seen = BTreeSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names.truncate(5);
        names
    }

    fn choose(&self, scores: &[f32], budget_tokens: usize, is_narrow: bool) -> Vec<usize> {
        let best = scores.iter().copied().fold(0.0, f32::max);
        let mut ranked: Vec<usize> = (0..scores.len()).collect();
        ranked.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        let mut chosen: Vec<usize> = Vec::new();
        let mut left = budget_tokens;
        let mut take = |at: usize, chosen: &mut Vec<usize>| {
            let cost = prompt::tokens_of(&self.schema.tables[at]).min(budget_tokens / 2);
            if chosen.contains(&at) || chosen.len() >= MOST_TABLES {
                return;
            }
            if chosen.is_empty() || cost <= left {
                left = left.saturating_sub(cost);
                chosen.push(at);
            }
        };
        let seeds: Vec<usize> = ranked
            .iter()
            .copied()
            .filter(|&at| scores[at] > 0.0 && scores[at] >= SHARE * best)
            .take(8)
            .collect();
        // The best table, then each further one with the way to those before it.
        for (rank, &seed) in seeds.iter().enumerate() {
            if rank > 0 {
                for at in self.way(seed, &seeds[..rank]) {
                    take(at, &mut chosen);
                }
            }
            take(seed, &mut chosen);
        }
        if is_narrow && !chosen.is_empty() {
            chosen.sort_unstable();
            return chosen;
        }
        let around: Vec<usize> = seeds
            .iter()
            .flat_map(|&seed| self.neighbours[seed].iter().copied())
            .collect();
        let around: BTreeSet<usize> = around.into_iter().collect();
        let mut around: Vec<usize> = around.into_iter().collect();
        around.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        for at in around {
            take(at, &mut chosen);
        }
        // What else has anything to do with it; all of a small schema.
        for &at in &ranked {
            if scores[at] > 0.0 || self.schema.tables.len() <= MOST_TABLES {
                take(at, &mut chosen);
            }
        }
        chosen.sort_unstable();
        chosen
    }

    /// Tables between one and the nearest of others, along foreign keys.
    fn way(&self, from: usize, to: &[usize]) -> Vec<usize> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut queue = VecDeque::from([(from, 0)]);
        while let Some((at, hops)) = queue.pop_front() {
            if to.contains(&at) && at != from {
                let steps = std::iter::successors(came_from.get(&at).copied(), |step| {
                    came_from.get(step).copied()
                });
                return steps.take_while(|&step| step != from).collect();
            }
            if hops == HOPS {
                continue;
            }
            for &next in &self.neighbours[at] {
                if next != from && !came_from.contains_key(&next) {
                    came_from.insert(next, at);
                    queue.push_back((next, hops + 1));
                }
            }
        }
        Vec::new()
    }
}

fn place(schema: &Schema, name: &str) -> Option<usize> {
    let table = schema.table(name)?;
    schema
        .tables
        .iter()
        .position(|other| std::ptr::eq(other, table))
}

/// Puts descriptions where the schema has no comment.
fn describe(schema: &mut Schema, hints: &Hints) {
    for (name, text) in &hints.descriptions {
        if let Some(at) = place(schema, name) {
            schema.tables[at].comment = Some(text.clone());
            continue;
        }
        let Some((table, column)) = name.rsplit_once('.') else {
            continue;
        };
        let Some(at) = place(schema, table) else {
            continue;
        };
        let mut columns = schema.tables[at].columns.iter_mut();
        if let Some(column) = columns.find(|c| c.name.eq_ignore_ascii_case(column)) {
            column.comment = Some(text.clone());
        }
    }
}

#[cfg(test)]
mod tests;

//! The words of a schema and how much each says about its tables.

use std::collections::HashMap;

use crate::sql::names::{distance, stem, words};
use crate::sql::{Schema, Table};

use super::Example;

/// How soon further uses of a word stop counting, and how much long texts are held back.
const BM25: (f32, f32) = (1.2, 0.5);
/// What a word counts in the name of a table, of a column, and in a comment or a value.
const WEIGHTS: (f32, f32, f32) = (4.0, 2.0, 1.0);
/// What a word counts that only means the same, or is misspelt.
const AKIN: f32 = 0.5;

/// Words that people use for one another.
const SYNONYMS: [&[&str]; 16] = [
    &["customer", "client", "buyer", "shopper"],
    &["user", "account", "member", "person", "people"],
    &["order", "purchase"],
    &["revenue", "sale", "income", "turnover", "earning"],
    &[
        "price",
        "cost",
        "amount",
        "total",
        "spend",
        "spent",
        "paid",
        "expensive",
        "cheap",
    ],
    &["employee", "staff", "worker"],
    &["product", "item", "article", "good"],
    &[
        "date", "day", "when", "time", "recent", "latest", "newest", "oldest", "last", "since",
    ],
    &["doctor", "physician"],
    &["patient", "person"],
    &["city", "town", "place", "where"],
    &["phone", "telephone", "mobile"],
    &["email", "mail"],
    &["appointment", "visit"],
    &["transaction", "payment", "transfer"],
    &["quantity", "number", "count", "stock"],
];

/// Words that say nothing of tables.
const STOP: &str = " a about above after all also an and any are as at be been before below between both but by \
    can could did do does each every find first for from get give had has have having how i if in into is it \
    its just like list many me more most much my name names not of on only or other our out over per please \
    print provide query return select should show so some sql such tell than that the their them then there \
    these they this those to top under up use want was we were what which who whose will with within would \
    you your retrieve display fetch show see count number different distinct unique along together them \
    them question schema write statement ";

/// Texts of tables and examples by their words.
pub(super) struct Index {
    tables: Vec<Weights>,
    examples: Vec<Weights>,
    /// In how many tables a word stands.
    frequency: HashMap<String, usize>,
    /// Words of the question that name a table as a whole.
    names: Vec<Vec<String>>,
    average: f32,
}

/// How often a word counts in one text.
type Weights = HashMap<String, f32>;

impl Index {
    pub(super) fn new(schema: &Schema, examples: &[Example]) -> Index {
        let tables: Vec<Weights> = schema.tables.iter().map(weigh).collect();
        let mut frequency: HashMap<String, usize> = HashMap::new();
        for word in tables.iter().flat_map(HashMap::keys) {
            *frequency.entry(word.clone()).or_default() += 1;
        }
        let lengths: f32 = tables.iter().map(|table| table.values().sum::<f32>()).sum();
        Index {
            examples: examples
                .iter()
                .map(|example| {
                    stems(&example.question)
                        .into_iter()
                        .map(|w| (w, 1.0))
                        .collect()
                })
                .collect(),
            names: schema
                .tables
                .iter()
                .map(|table| stems(&table.name))
                .collect(),
            average: lengths / tables.len().max(1) as f32,
            tables,
            frequency,
        }
    }

    /// What each table has to do with a question; 0 if nothing.
    pub(super) fn scores(&self, question: &str) -> Vec<f32> {
        let asked = content(question);
        let mut wanted: HashMap<&str, f32> = HashMap::new();
        let mut akin: Vec<(String, f32)> = Vec::new();
        for word in &asked {
            match self.frequency.contains_key(word) {
                true => {
                    wanted.insert(word, 1.0);
                }
                false => akin.extend(self.akin(word).into_iter().map(|word| (word, AKIN))),
            }
        }
        for word in &asked {
            let same = synonyms(word).filter(|same| self.frequency.contains_key(*same));
            akin.extend(same.map(|word| (word.to_owned(), AKIN / 2.0)));
        }
        for (word, weight) in &akin {
            wanted.entry(word).or_insert(*weight);
        }
        let all = stems(question);
        let count = self.tables.len() as f32;
        let tables = self.tables.iter().zip(&self.names);
        tables
            .map(|(table, name)| {
                let length: f32 = table.values().sum();
                let score: f32 = wanted
                    .iter()
                    .filter_map(|(word, weight)| Some((*word, weight, table.get(*word)?)))
                    .map(|(word, weight, times)| {
                        let found = self.frequency[word] as f32;
                        let rare = (1.0 + (count - found + 0.5) / (found + 0.5)).ln();
                        let (k, b) = BM25;
                        let held = k * (1.0 - b + b * length / self.average.max(1.0));
                        weight * rare * times * (k + 1.0) / (times + held)
                    })
                    .sum();
                // A table called by its whole name is meant.
                let is_named = !name.is_empty()
                    && all
                        .windows(name.len())
                        .any(|words| words == name.as_slice());
                if is_named { score * 2.0 + 1.0 } else { score }
            })
            .collect()
    }

    /// Whether a word of a question is one of the schema's, or like one.
    pub(super) fn knows(&self, word: &str) -> bool {
        let word = stem(word);
        self.frequency.contains_key(&word)
            || !self.akin(&word).is_empty()
            || synonyms(&word).any(|same| self.frequency.contains_key(same))
    }

    /// Words of the schema that may be meant by one that it does not have: misspelt, or part of another.
    fn akin(&self, word: &str) -> Vec<String> {
        if word.len() < 4 {
            return Vec::new();
        }
        let most = if word.len() < 7 { 1 } else { 2 };
        let like = |known: &&String| {
            let is_part =
                known.len() >= 4 && (known.starts_with(word) || word.starts_with(known.as_str()));
            is_part || distance(word, known, most).is_some()
        };
        self.frequency.keys().filter(like).cloned().collect()
    }

    /// Whether a question names a column of a table.
    pub(super) fn is_named(&self, question: &str, table: &str, column: &str) -> bool {
        let _ = table;
        let asked = content(question);
        stems(column).iter().any(|word| {
            asked.contains(word) || synonyms(word).any(|w| asked.iter().any(|a| a == w))
        })
    }

    /// The share of words that each example has in common with a question; 0 if it is next to none.
    pub(super) fn examples_like(&self, question: &str) -> Vec<f32> {
        let asked = stems(question);
        let share = |example: &Weights| {
            let shared = asked.iter().filter(|word| example.contains_key(*word));
            let share = shared.count() as f32 / (asked.len() + example.len()).max(1) as f32;
            if share > 0.1 { share } else { 0.0 }
        };
        self.examples.iter().map(share).collect()
    }
}

fn weigh(table: &Table) -> Weights {
    let mut weights = Weights::new();
    let mut add = |text: &str, weight: f32| {
        for word in stems(text) {
            *weights.entry(word).or_default() += weight;
        }
    };
    let (name, column_name, comment) = WEIGHTS;
    add(&table.name, name);
    add(table.comment.as_deref().unwrap_or_default(), comment);
    for column in &table.columns {
        add(&column.name, column_name);
        add(column.comment.as_deref().unwrap_or_default(), comment);
        for sample in &column.samples {
            add(sample, comment);
        }
    }
    weights
}

/// What a table says of itself, for who scores meanings.
pub(super) fn text(table: &Table) -> String {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|column| words(&column.name).join(" "))
        .collect();
    let comment = table.comment.as_deref().unwrap_or_default();
    format!(
        "{}: {}. {comment}",
        words(&table.name).join(" "),
        columns.join(", ")
    )
}

fn stems(text: &str) -> Vec<String> {
    words(text).iter().map(|word| stem(word)).collect()
}

/// The words of a question that may name something.
pub(super) fn content(question: &str) -> Vec<String> {
    words(question)
        .into_iter()
        .filter(|word| !is_stop(word))
        .map(|word| stem(&word))
        .collect()
}

pub(super) fn is_stop(word: &str) -> bool {
    word.len() < 2 || STOP.contains(&format!(" {word} "))
}

fn synonyms(word: &str) -> impl Iterator<Item = &'static str> {
    let word = word.to_owned();
    let groups = SYNONYMS.iter().filter({
        let word = word.clone();
        move |group| group.contains(&word.as_str())
    });
    groups
        .flat_map(|group| group.iter().copied())
        .filter(move |same| *same != word)
}

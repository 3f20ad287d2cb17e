//! The built-in library, searched by its words: what there is to rest on where no index is at hand.
//!
//! Sections of the articles are ranked by BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009)
//! over words without their endings.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use futures_util::future::{BoxFuture, ready};

use crate::rag::{Hit, Metadata, Position, Query, Retriever, SearchError};

use super::library;

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// A word of a title counts as this many of the text.
const TITLE_WEIGHT: usize = 3;
const SHORTEST_WORD: usize = 3;
/// Words that say nothing about the subject.
const EMPTY: &str = " the and for are was you your that this with what how can should does have has not but from when \
    they will would which their there about into much many more than why who its get out our any all too use one ";

/// The built-in library and nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shelf;

/// The sections of all articles.
struct Index {
    sections: Vec<Section>,
    /// In how many sections a word stands.
    spread: HashMap<String, usize>,
    mean_length: f64,
}

struct Section {
    document_id: String,
    title: &'static str,
    text: String,
    words: HashMap<String, usize>,
    length: f64,
    passage: usize,
}

static INDEX: LazyLock<Index> = LazyLock::new(Index::new);

impl Shelf {
    /// The best `most` sections, the best first; none that shares no word with the query.
    pub fn find(&self, query: &str, most: usize) -> Vec<Hit> {
        let words: HashSet<String> = words(query).collect();
        let scored = INDEX
            .sections
            .iter()
            .map(|section| (INDEX.score(section, &words), section));
        let mut scored: Vec<(f64, &Section)> = scored.filter(|(score, _)| *score > 0.0).collect();
        scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        let best = scored.into_iter().take(most);
        best.map(|(score, section)| Hit {
            document_id: section.document_id.clone(),
            title: section.title.to_owned(),
            url: None,
            metadata: Metadata::new(),
            text: section.text.clone(),
            score: score as f32,
            position: Position {
                passage: section.passage,
                ..Position::default()
            },
        })
        .collect()
    }
}

impl Index {
    fn new() -> Index {
        let sections: Vec<Section> = library::articles().iter().flat_map(sections).collect();
        let mut spread: HashMap<String, usize> = HashMap::new();
        for word in sections.iter().flat_map(|section| section.words.keys()) {
            *spread.entry(word.clone()).or_default() += 1;
        }
        let mean_length = sections.iter().map(|section| section.length).sum::<f64>()
            / sections.len().max(1) as f64;
        Index {
            sections,
            spread,
            mean_length,
        }
    }

    fn score(&self, section: &Section, words: &HashSet<String>) -> f64 {
        let all = self.sections.len() as f64;
        let weight = |word: &String| {
            let count = *section.words.get(word)? as f64;
            let spread = self.spread.get(word).copied().unwrap_or_default() as f64;
            let rarity = ((all - spread + 0.5) / (spread + 0.5)).ln_1p();
            let length = 1.0 - B + B * section.length / self.mean_length;
            Some(rarity * count * (K1 + 1.0) / (count + K1 * length))
        };
        // A fixed order, so that the same query gives the same sum.
        let mut weights: Vec<f64> = words.iter().filter_map(weight).collect();
        weights.sort_by(f64::total_cmp);
        weights.iter().sum()
    }
}

impl Retriever for Shelf {
    /// By words, whatever the mode; there are no other documents than the built-in ones.
    fn search(&self, query: Query) -> BoxFuture<'_, Result<Vec<Hit>, SearchError>> {
        let found = match query.builtin {
            true => self.find(&query.text, query.k),
            false => Vec::new(),
        };
        Box::pin(ready(Ok(found)))
    }

    fn version(&self, _: &str) -> u64 {
        0
    }
}

fn sections(article: &'static library::Article) -> Vec<Section> {
    let parts = article
        .body
        .split("\n## ")
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let section = |(passage, text): (usize, &str)| {
        let title =
            words(&article.front.title).flat_map(|word| std::iter::repeat_n(word, TITLE_WEIGHT));
        let mut counted: HashMap<String, usize> = HashMap::new();
        for word in words(text).chain(title) {
            *counted.entry(word).or_default() += 1;
        }
        Section {
            document_id: format!("library/{}", article.name),
            title: &article.front.title,
            text: text.to_owned(),
            length: counted.values().sum::<usize>() as f64,
            words: counted,
            passage,
        }
    };
    parts.enumerate().map(section).collect()
}

/// Words without case and endings.
fn words(text: &str) -> impl Iterator<Item = String> {
    let words = text
        .split(|c: char| !c.is_alphanumeric())
        .map(str::to_lowercase);
    words
        .filter(|word| word.len() >= SHORTEST_WORD && !EMPTY.contains(&format!(" {word} ")))
        .map(|word| stem(&word).to_owned())
}

fn stem(word: &str) -> &str {
    let endings = ["ings", "ing", "ies", "ed", "es", "s", "y", "e"];
    let found = endings.iter().find_map(|ending| word.strip_suffix(ending));
    found
        .filter(|stem| stem.len() >= SHORTEST_WORD)
        .unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coach::questions::questions;

    #[test]
    fn questions_find_their_articles() {
        let all = questions().unwrap();
        let is_found = |question: &crate::coach::questions::Question| {
            let want = format!("library/{}", question.article);
            let found = Shelf.find(&question.question, 8);
            found.iter().any(|passage| passage.document_id == want)
        };
        let found = all.iter().filter(|question| is_found(question)).count();
        assert!(found * 10 >= all.len() * 6, "{found} of {}", all.len());
    }

    #[test]
    fn the_best_comes_first_and_what_fits_nothing_does_not_come() {
        let found = Shelf.find("How large should an emergency fund be?", 5);
        assert_eq!(found[0].document_id, "library/emergency-fund-size");
        assert!(found.is_sorted_by(|a, b| a.score >= b.score) && found.len() == 5);
        assert_eq!(Shelf.find("qwertz zzyzx", 5), []);
        assert_eq!(Shelf.find("", 5), []);
    }
}

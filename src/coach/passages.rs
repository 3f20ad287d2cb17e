//! What the coach rests on: passages that retrieval finds, quoted for the model and listed for the reader.

use serde::Serialize;
use utoipa::ToSchema;

use crate::rag::Hit;
use crate::rag::passages::{Passage, quote_as};

use super::plain::{clip, is_web_address, plain_name};

/// Characters of a passage that a model reads.
const PASSAGE_CHARS: usize = 900;
/// Characters of a source that a reader sees.
const SNIPPET_CHARS: usize = 240;
const TITLE_CHARS: usize = 160;

/// A document that an answer rests on; plain text all over.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Source {
    /// What people call it.
    pub title: String,
    /// Where it can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Its name in the index.
    pub document_id: String,
    /// The beginning of the passage that was read.
    pub snippet: String,
    /// How well it fits.
    pub score: f64,
}

impl Source {
    fn of(passage: &Hit) -> Source {
        let url = passage.url.clone().filter(|url| is_web_address(url));
        Source {
            title: plain_name(&passage.title, TITLE_CHARS),
            url,
            document_id: plain_name(&passage.document_id, TITLE_CHARS),
            snippet: plain_name(&passage.text, SNIPPET_CHARS),
            score: (f64::from(passage.score) * 1e4).round() / 1e4,
        }
    }
}

/// Passages under the numbers by which an answer cites them: one number for each document, from 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cited {
    passages: Vec<(usize, Hit)>,
}

impl Cited {
    /// Numbers the documents in the order in which they come; the same passage counts once.
    pub fn new(found: Vec<Hit>) -> Cited {
        let mut passages: Vec<(usize, Hit)> = Vec::new();
        let mut documents: Vec<String> = Vec::new();
        for passage in found {
            if passages.iter().any(|(_, known)| known.text == passage.text) {
                continue;
            }
            let known = documents.iter().position(|id| *id == passage.document_id);
            let at = known.unwrap_or_else(|| {
                documents.push(passage.document_id.clone());
                documents.len() - 1
            });
            passages.push((at + 1, passage));
        }
        Cited { passages }
    }

    /// The first `count` passages.
    pub fn first(mut self, count: usize) -> Cited {
        self.passages.truncate(count);
        self
    }

    /// Each passage as a model reads it, the best first.
    pub fn quotes(&self) -> Vec<String> {
        let quoted = |(number, hit): &(usize, Hit)| {
            let text = clip(hit.text.trim(), PASSAGE_CHARS);
            let passage = Passage {
                title: &hit.title,
                text: &text,
            };
            quote_as(*number, &passage)
        };
        self.passages.iter().map(quoted).collect()
    }

    /// The texts, for whoever checks what an answer says.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.passages
            .iter()
            .map(|(_, passage)| passage.text.as_str())
    }

    /// The best passage.
    pub fn best(&self) -> Option<&Hit> {
        self.passages.first().map(|(_, passage)| passage)
    }

    /// Documents that have a number.
    pub fn documents(&self) -> usize {
        self.passages
            .iter()
            .map(|(number, _)| *number)
            .max()
            .unwrap_or(0)
    }

    /// The documents of these numbers, in their order, or the best `most` where there are none.
    pub fn sources(&self, numbers: &[usize], most: usize) -> Vec<Source> {
        let all: Vec<usize> = (1..=self.documents().min(most)).collect();
        let numbers = if numbers.is_empty() { &all } else { numbers };
        let passage = |number: &usize| self.passages.iter().find(|(known, _)| known == number);
        let found = numbers.iter().filter_map(passage);
        found.map(|(_, passage)| Source::of(passage)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rag::{Metadata, Position};

    fn passage(id: &str, text: &str) -> Hit {
        Hit {
            document_id: id.to_owned(),
            title: format!("Title {id}"),
            url: None,
            metadata: Metadata::new(),
            text: text.to_owned(),
            score: 0.512_345,
            position: Position::default(),
        }
    }

    #[test]
    fn documents_have_one_number_and_passages_count_once() {
        let found = [
            passage("a", "1"),
            passage("b", "2"),
            passage("a", "3"),
            passage("b", "2"),
        ];
        let cited = Cited::new(found.to_vec());
        assert_eq!(cited.documents(), 2);
        let quotes = cited.quotes();
        assert_eq!(
            quotes,
            ["[1] Title a: 1\n", "[2] Title b: 2\n", "[1] Title a: 3\n"]
        );
        let ids = |numbers: &[usize]| -> Vec<String> {
            let sources = cited.sources(numbers, 3).into_iter();
            sources.map(|source| source.document_id).collect()
        };
        assert_eq!(
            (ids(&[]), ids(&[2]), ids(&[2, 1, 9])),
            (
                vec!["a".to_owned(), "b".to_owned()],
                vec!["b".to_owned()],
                vec!["b".to_owned(), "a".to_owned()],
            )
        );
    }

    #[test]
    fn sources_are_plain_text() {
        let hostile = Hit {
            title: "<img src=x onerror=alert(1)>\nBudget".to_owned(),
            url: Some("javascript:alert(1)".to_owned()),
            ..passage("a", "<script>1</script> text")
        };
        let source = &Cited::new(vec![hostile]).sources(&[1], 1)[0];
        assert_eq!(source.url, None);
        assert_eq!(source.score, 0.5123);
        let json = serde_json::to_string(source).unwrap();
        assert!(
            !json.contains(['<', '>']) && !json.contains("\"url\""),
            "{json}"
        );
    }
}

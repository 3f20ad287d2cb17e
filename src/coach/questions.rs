//! Questions with the article that answers them, for measuring retrieval over the library.
//!
//! They are worded unlike the articles' titles. Half of them, all those of some topics, are held
//! out: settings of the search are chosen on the others and reported on these.

use serde::Deserialize;

use super::library::{self, Article};

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Question {
    /// As somebody might type it.
    pub question: String,
    /// The name of the article that answers it best.
    pub article: String,
    /// Never used for choosing settings.
    pub held_out: bool,
}

impl Question {
    /// The article that answers it best.
    pub fn answer(&self) -> Option<&'static Article> {
        library::article(&self.article)
    }
}

/// All questions, in the order of `questions.json`.
pub fn questions() -> Result<Vec<Question>, serde_json::Error> {
    serde_json::from_str(include_str!("questions.json"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    use super::*;

    #[test]
    fn every_article_is_asked_for() {
        let all = questions().unwrap();
        assert!(all.len() >= 160, "{}", all.len());
        let asked: BTreeSet<&str> = all.iter().map(|q| q.article.as_str()).collect();
        let names: BTreeSet<&str> = library::articles().iter().map(|a| a.name).collect();
        assert_eq!(asked, names);
        let texts: HashSet<String> = all.iter().map(|q| q.question.to_lowercase()).collect();
        assert_eq!(texts.len(), all.len());
    }

    #[test]
    fn topics_are_held_out_whole_and_make_a_half() {
        let all = questions().unwrap();
        let mut topics = BTreeMap::new();
        for question in &all {
            let topic = question.answer().unwrap().front.topic;
            assert_eq!(
                *topics.entry(topic).or_insert(question.held_out),
                question.held_out
            );
        }
        let held_out = all.iter().filter(|question| question.held_out).count();
        let share = held_out as f64 / all.len() as f64;
        assert!((0.4..=0.6).contains(&share), "{share}");
    }

    #[test]
    fn questions_do_not_repeat_titles() {
        let words = |text: &str| -> HashSet<String> {
            let words = text.split(|c: char| !c.is_alphanumeric());
            words
                .filter(|word| word.len() > 3)
                .map(str::to_lowercase)
                .collect()
        };
        for question in questions().unwrap() {
            let title = words(&question.answer().unwrap().front.title);
            let shared = title.intersection(&words(&question.question)).count();
            assert!(shared * 2 <= title.len(), "{question:?}");
        }
    }

    #[test]
    fn questions_are_in_scope() {
        for Question { question, .. } in questions().unwrap() {
            assert_eq!(
                crate::coach::scope::out_of_scope(&question),
                None,
                "{question}"
            );
        }
    }
}

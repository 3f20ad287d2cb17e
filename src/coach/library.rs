//! The built-in library: short articles in `library/*.md`, part of the binary.
//!
//! An article begins with front matter in YAML between two lines of `---`; the rest is Markdown
//! with `##` headings. The file's name without `.md` is the article's name and stays as it is:
//! documents in the index and the evaluation's questions refer to it.

use std::sync::LazyLock;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// One article.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Article {
    /// The file's name without `.md`.
    pub name: &'static str,
    /// What stands above the body.
    pub front: FrontMatter,
    /// Markdown, without the front matter.
    pub body: &'static str,
}

/// What is known about an article.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontMatter {
    /// Shown as the source's title; no two articles share one.
    pub title: String,
    /// The shelf it stands on.
    pub topic: Topic,
    /// Whom it is written for.
    pub level: Level,
    /// When somebody last checked what it says.
    pub reviewed: Date,
    /// Public sources by name.
    pub further_reading: Vec<String>,
}

/// The library's shelves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Topic {
    Behaviour,
    Bonds,
    Budgeting,
    Credit,
    Debt,
    Fraud,
    Growth,
    Housing,
    Insurance,
    Investing,
    Life,
    Retirement,
    Saving,
    Tax,
}

/// How much a reader knows already.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// New to the subject: everyday words, each term explained.
    #[default]
    Beginner,
    /// Knows the common terms.
    Intermediate,
    /// Wants formulas and exceptions.
    Advanced,
}

/// Why a text is not an article.
#[derive(Debug, thiserror::Error)]
pub enum ArticleError {
    /// The first line is not `---`, or no second one follows.
    #[error("{0}: no front matter between two lines of ---")]
    NoFrontMatter(String),
    /// A field is missing, unknown or of the wrong type.
    #[error("{name}: the front matter cannot be read")]
    FrontMatter {
        /// The article's name.
        name: String,
        /// Where and why.
        source: Box<serde_saphyr::Error>,
    },
}

/// All articles, sorted by name.
pub fn articles() -> &'static [Article] {
    static ARTICLES: LazyLock<Vec<Article>> = LazyLock::new(|| {
        let parsed = FILES.iter().map(|(name, text)| parse(name, text));
        parsed
            .collect::<Result<_, _>>()
            .expect("a test reads every built-in article")
    });
    &ARTICLES
}

/// The article called `name`.
pub fn article(name: &str) -> Option<&'static Article> {
    let all = articles();
    let at = all.binary_search_by_key(&name, |article| article.name);
    at.ok().map(|at| &all[at])
}

fn parse(name: &'static str, text: &'static str) -> Result<Article, ArticleError> {
    let (front, body) = text
        .strip_prefix("---\n")
        .and_then(|rest| rest.split_once("\n---\n"))
        .ok_or_else(|| ArticleError::NoFrontMatter(name.to_owned()))?;
    let front = serde_saphyr::from_str(front).map_err(|source| ArticleError::FrontMatter {
        name: name.to_owned(),
        source: Box::new(source),
    })?;
    let body = body.trim();
    Ok(Article { name, front, body })
}

macro_rules! files {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("library/", $name, ".md")))),*]
    };
}

/// Names and texts, sorted by name.
const FILES: &[(&str, &str)] = files![
    "annuities",
    "apr-meaning",
    "asset-allocation",
    "automatic-saving",
    "avalanche-snowball",
    "bond-duration",
    "bonds-basics",
    "buy-now-pay-later",
    "capital-gains-tax",
    "car-cost",
    "children-and-money",
    "choosing-an-adviser",
    "compound-growth",
    "couples-money",
    "credit-card-interest",
    "credit-report-errors",
    "credit-score",
    "crypto-assets",
    "currency-risk",
    "cutting-costs",
    "debt-consolidation",
    "debt-trouble",
    "deductibles-and-claims",
    "deposit-insurance",
    "diversification",
    "dividends-total-return",
    "emergency-fund-home",
    "emergency-fund-size",
    "employer-match",
    "etf-or-fund",
    "fifty-thirty-twenty",
    "first-budget",
    "following-the-crowd",
    "fund-fees",
    "house-affordability",
    "identity-theft",
    "impersonation-scams",
    "income-protection",
    "index-funds",
    "inflation",
    "investment-fraud",
    "irregular-income",
    "job-loss",
    "kinds-of-debt",
    "lending-to-family",
    "life-insurance",
    "lifestyle-creep",
    "loan-amortisation",
    "loss-aversion",
    "lump-sum-or-instalments",
    "market-falls",
    "minimum-payments",
    "mortgage-rates",
    "net-worth",
    "payslip",
    "pension-accounts",
    "property-investing",
    "real-return",
    "rebalancing",
    "rent-or-buy",
    "retirement-target",
    "rule-of-72",
    "saving-goals",
    "savings-accounts",
    "savings-rate",
    "sequence-risk",
    "shares-basics",
    "short-term-loans",
    "sinking-funds",
    "starting-early",
    "student-loans",
    "tax-brackets",
    "tax-shelters-now-or-later",
    "time-value",
    "tracking-spending",
    "volatility-and-loss",
    "what-to-insure",
    "wills-and-documents",
    "windfall",
    "withdrawal-rate",
    "zero-based-envelopes",
];

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_is_listed_and_sorted() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/coach/library");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let listed: Vec<String> = FILES.iter().map(|(name, _)| format!("{name}.md")).collect();
        assert_eq!(files, listed);
    }

    #[test]
    fn there_are_enough_articles_on_every_shelf() {
        assert!(articles().len() >= 64, "{}", articles().len());
        let mut shelves = BTreeMap::new();
        for article in articles() {
            *shelves.entry(article.front.topic).or_insert(0) += 1;
        }
        assert_eq!(shelves.len(), 14, "{shelves:?}");
        assert!(shelves.values().all(|count| *count >= 2), "{shelves:?}");
    }

    #[test]
    fn front_matter_is_complete() {
        let first = Date::constant(2026, 11, 1);
        let mut titles = HashSet::new();
        for Article { name, front, .. } in articles() {
            assert!(titles.insert(front.title.to_lowercase()), "{name}: title");
            assert!((10..=80).contains(&front.title.len()), "{name}: title");
            assert!(front.reviewed >= first, "{name}: {}", front.reviewed);
            assert!(front.further_reading.len() >= 2, "{name}: reading");
            let named = front
                .further_reading
                .iter()
                .all(|source| source.len() >= 10);
            assert!(named, "{name}: {:?}", front.further_reading);
        }
    }

    #[test]
    fn bodies_are_short_and_have_headings() {
        for Article { name, body, .. } in articles() {
            let words = body.split_whitespace().count();
            assert!((350..=600).contains(&words), "{name}: {words} words");
            let headings = body.lines().filter(|line| line.starts_with("## ")).count();
            assert!(headings >= 3, "{name}: {headings} headings");
            assert!(!body.starts_with('#'), "{name}: begins with a heading");
            assert!(!body.contains("http"), "{name}: sources go by name");
        }
    }

    #[test]
    fn articles_are_found_by_name() {
        for wanted in articles() {
            assert_eq!(article(wanted.name), Some(wanted));
        }
        assert_eq!(article("no-such-article"), None);
    }

    #[test]
    fn broken_articles_say_what_is_wrong() {
        let whole = "---\ntitle: T\ntopic: tax\nlevel: beginner\nreviewed: 2026-11-21\n\
                     further_reading:\n  - S\n---\n\nBody\n";
        assert_eq!(parse("whole", whole).unwrap().body, "Body");
        for text in ["", "Body", "---\ntitle: T\nBody", "--- \ntitle: T\n---\n"] {
            let error = parse("bare", text).unwrap_err();
            assert!(matches!(error, ArticleError::NoFrontMatter(_)), "{text:?}");
        }
        for text in [
            "---\ntitle: T\n---\nBody",
            "---\n- T\n---\nBody",
            "---\ntitle: T\ntopic: stars\nlevel: beginner\nreviewed: 2026-11-21\nfurther_reading: []\n---\n",
            "---\ntitle: T\ntopic: tax\nlevel: beginner\nreviewed: 2026-13-21\nfurther_reading: []\n---\n",
            "---\ntitle: T\ntopic: tax\nlevel: beginner\nreviewed: 2026-11-21\nfurther_reading: []\nmore: 1\n---\n",
        ] {
            let error = parse("wrong", text).unwrap_err();
            assert!(
                matches!(error, ArticleError::FrontMatter { .. }),
                "{text:?}"
            );
        }
    }
}

//! Finds numbers that are written in words: "twelve thousand dollars", "fifteen percent".

use std::sync::LazyLock;

use regex::Regex;

use super::number::{Kind, Number, Reading};

/// Smaller ones without a unit count nothing as often as something: "one of them", "two ways".
const LEAST: f64 = 11.0;

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];
const SCALES: [(&str, f64); 4] = [
    ("hundred", 1e2),
    ("thousand", 1e3),
    ("million", 1e6),
    ("billion", 1e9),
];

static WORDED: LazyLock<Regex> = LazyLock::new(|| {
    let small = format!("(?:{}|{})", SMALL.join("|"), TENS.join("|"));
    let scale = format!("(?:{})", SCALES.map(|(word, _)| word).join("|"));
    let first = format!("(?:an? +{scale}|{small})");
    let next = format!("[ -]+(?:{scale}(?: +and +{small})?|{small})");
    Regex::new(&format!(r"(?i)\b{first}(?:{next})*\b")).expect("the pattern is fixed")
});

static UNIT: LazyLock<Regex> = LazyLock::new(|| {
    const PERCENT: &str = r"%|percent|per cent|pct\b";
    const MONEY: &str = r"(?:dollars?|euros?|pounds?|francs?|rupees?|yen|bucks)\b";
    Regex::new(&format!(
        r"(?i)^[ \u{{a0}}-]{{0,2}}(?:(?P<percent>{PERCENT})|{MONEY})"
    ))
    .expect("the pattern is fixed")
});

/// The numbers in words of `text` that say something, in order.
pub(super) fn worded(text: &str) -> Vec<Number> {
    let found = WORDED.find_iter(text).filter_map(|found| {
        let after = &text[found.end()..];
        // "twenty-first", "two-thirds"
        let goes_on = after
            .strip_prefix('-')
            .is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        let unit = UNIT.captures(after);
        let kind = match &unit {
            Some(unit) if unit.name("percent").is_some() => Kind::Percent,
            Some(_) => Kind::Money,
            None => Kind::Plain,
        };
        let value = value(found.as_str());
        let counts = unit.is_some() || (value >= LEAST && !goes_on);
        counts.then(|| Number {
            span: found.range(),
            kind,
            readings: vec![Reading { value, place: 1.0 }],
        })
    });
    found.collect()
}

fn value(words: &str) -> f64 {
    let lower = words.to_lowercase();
    let words = lower
        .split([' ', '-'])
        .filter(|word| !word.is_empty() && *word != "and");
    let (mut total, mut group) = (0.0, 0.0);
    for word in words {
        if let Some(at) = SMALL.iter().position(|small| *small == word) {
            group += at as f64;
        } else if let Some(at) = TENS.iter().position(|tens| *tens == word) {
            group += (at as f64 + 2.0) * 10.0;
        } else if let Some((_, scale)) = SCALES.iter().find(|(name, _)| *name == word) {
            let counted = f64::max(group, 1.0) * scale;
            match *scale {
                1e2 => group = counted,
                _ => (total, group) = (total + counted, 0.0),
            }
        }
    }
    total + group
}

#[cfg(test)]
mod tests {
    use super::super::{Evidence, numbers};
    use super::*;

    #[test]
    fn words_are_read_as_the_numbers_they_are() {
        for (text, want) in [
            ("twelve thousand dollars", 12_000.0),
            ("one hundred and five euros", 105.0),
            ("a million", 1e6),
            ("Twenty-five years", 25.0),
            ("two hundred fifty thousand", 250_000.0),
            ("three million two hundred thousand", 3_200_000.0),
            ("ten percent", 10.0),
            ("zero per cent", 0.0),
        ] {
            let found = worded(text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].readings[0].value, want, "{text}");
        }
    }

    #[test]
    fn turns_of_phrase_are_none() {
        for text in [
            "one of them, two ways, three to six months",
            "the twenty-first time",
            "thousands of people",
            "hundred-year floods",
            "someone often has none",
            "weighs a ton and eighty-odd",
        ] {
            assert_eq!(worded(text), [], "{text}");
        }
    }

    #[test]
    fn words_and_digits_stand_for_one_another() {
        let evidence = Evidence::new().with_text("15 % of 3,000 for twelve months");
        assert_eq!(
            evidence.unsupported("Fifteen percent of three thousand over 12 months."),
            []
        );
        assert_eq!(
            evidence
                .unsupported("You will have ninety thousand dollars.")
                .len(),
            1
        );
        assert_eq!(
            evidence.unsupported("Fifteen thousand and 3,000."),
            worded("Fifteen thousand")
        );
        let order: Vec<usize> = numbers("5 apples, twenty pears, 7 plums")
            .iter()
            .map(|n| n.span.start)
            .collect();
        assert_eq!(order, [0, 10, 24]);
    }
}

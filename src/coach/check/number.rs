//! Finds numbers in running text, in the ways in which people write them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::worded::worded;

/// A number in a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Where its digits or words stand, in bytes; signs and units lie outside.
    pub span: Range<usize>,
    /// What it counts, as far as the characters around it tell.
    pub kind: Kind,
    /// What it can mean: `1,234` is 1234 or, written in German, 1.234.
    pub readings: Vec<Reading>,
}

/// One meaning of a written number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Never below zero: signs do not count.
    pub value: f64,
    /// What one unit of the last written digit is worth: 0.01 for `1.25`, 100 for `$1.2k`.
    pub place: f64,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A sign or a word for a currency stands beside it.
    Money,
    /// A percent sign or the word follows.
    Percent,
    /// Anything else: months, years, people, or money whose currency is not said.
    Plain,
}

/// The numbers of `text` that say something, in order.
///
/// Left out: numbers of list items and steps (`2.` at a line's start, `step 3`), marks of sources
/// (`[1]`), ordinals (`3rd`), parts of names (`401(k)`, `S&P 500`, `COVID-19`, `24/7`), and digits
/// inside words. Digits are those of ASCII. Of numbers in words those below eleven count with a unit only.
pub fn numbers(text: &str) -> Vec<Number> {
    let names: Vec<Range<usize>> = NAMES.find_iter(text).map(|found| found.range()).collect();
    let mut found: Vec<Number> = NUMBER
        .captures_iter(text)
        .filter_map(|captures| number(text, &captures))
        .chain(worded(text))
        .filter(|number| !names.iter().any(|name| name.contains(&number.span.start)))
        .collect();
    found.sort_by_key(|number| number.span.start);
    share_percent(text, &mut found);
    found
}

/// Digits with their separators, then a word for thousands or more, then a unit.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
    const DIGITS: &str = r"(?P<digits>(?:[0-9]{1,3}(?:[.,'’\u{a0}\u{202f}\u{2009} ][0-9]{3}\b)+|[0-9]+)(?:[.,][0-9]+)?|[.,][0-9]+)";
    const SCALE: &str = r"(?:[ \u{a0}\u{202f}-]?(?P<scale>(?i:thousand|million|billion|trillion|lakh|crore|mn|bn|[kmb]))\b)?";
    const UNIT: &str = r"(?:[ \u{a0}\u{202f}-]{0,2}(?:(?P<percent>%|(?i:percent(?:age)?|per cent|pct)\b)|(?P<money>[$€£¥₹]|(?i:dollars?|euros?|pounds?|francs?|rupees?|yen|usd|eur|gbp|chf|inr|cad|aud)\b)))?";
    Regex::new(&[DIGITS, SCALE, UNIT].concat()).expect("the pattern is fixed")
});

/// Names and set phrases whose digits count nothing.
static NAMES: LazyLock<Regex> = LazyLock::new(|| {
    const PATTERN: &str = concat!(
        r"(?m)^[ \t>*#-]*[0-9]{1,2}[.)](?:[ \t]|$)",
        r"|(?i)\b(?:step|chapter|section|part|phase|source|passage|figure|table|item|rule of)[ \u{a0}][0-9]+",
        r"|\[[0-9]{1,2}\]",
        r"|\b[0-9]{3}\([a-z]\)",
        r"|\b24/7\b",
        r"|(?i)\b(?:s&p|ftse|stoxx|nikkei|russell|dow|dax|cac|nasdaq|msci|topix|asx|smi)[ \u{a0}-]?[0-9]+",
    );
    Regex::new(PATTERN).expect("the pattern is fixed")
});

/// Currencies that stand before an amount as letters.
const CODES: [&str; 12] = [
    "USD", "EUR", "GBP", "CHF", "JPY", "INR", "CAD", "AUD", "NZD", "SEK", "Rs", "kr",
];

fn number(text: &str, captures: &Captures) -> Option<Number> {
    let digits = captures.name("digits")?;
    let scale = captures.name("scale").map(|scale| scale.as_str());
    let (before, after) = (&text[..digits.start()], &text[digits.end()..]);
    let coded = CODES.iter().any(|code| before.trim_end().ends_with(code));
    if (is_glued(before) && !coded) || (scale.is_none() && is_part_of_a_word(after)) {
        return None;
    }
    let signed = before
        .trim_end_matches([' ', '\u{a0}', '-', '−', '+', '~'])
        .ends_with(['$', '€', '£', '¥', '₹']);
    let kind = if captures.name("percent").is_some() {
        Kind::Percent
    } else if captures.name("money").is_some() || signed || coded {
        Kind::Money
    } else {
        Kind::Plain
    };
    let plain = readings(digits.as_str());
    let factor = scale.map_or(1.0, factor);
    let mut readings: Vec<Reading> = plain.iter().map(|reading| reading.times(factor)).collect();
    // "12m" may be twelve months or metres; "$12m" may not.
    if kind != Kind::Money && scale.is_some_and(|scale| scale.len() == 1) {
        readings.extend(plain);
    }
    Some(Number {
        span: digits.range(),
        kind,
        readings,
    })
}

/// Whether what stands before digits makes them part of a name: `H2`, `COVID-19`, `id_7`.
fn is_glued(before: &str) -> bool {
    let mut last = before.chars().rev();
    match (last.next(), last.next()) {
        (Some('-'), Some(c)) => c.is_uppercase(),
        (Some(c), _) => c.is_alphabetic() || c == '_',
        (None, _) => false,
    }
}

/// Whether the letters after digits make an ordinal or a name of them: `3rd`, `4G`.
fn is_part_of_a_word(after: &str) -> bool {
    let end = after.find(|c: char| !c.is_alphabetic());
    let letters = &after[..end.unwrap_or(after.len())];
    let mut chars = letters.chars();
    let capital = chars.next().is_some_and(char::is_uppercase) && chars.next().is_none();
    capital || matches!(letters, "st" | "nd" | "rd" | "th")
}

fn factor(scale: &str) -> f64 {
    match scale.to_ascii_lowercase().as_str() {
        "k" | "thousand" => 1e3,
        "lakh" => 1e5,
        "m" | "mn" | "million" => 1e6,
        "crore" => 1e7,
        "b" | "bn" | "billion" => 1e9,
        _ => 1e12,
    }
}

/// What digits with separators can mean. The last `.` or `,` is a decimal sign, unless it stands
/// more than once; if it is the only one and three digits follow, it can be either.
fn readings(digits: &str) -> Vec<Reading> {
    let Some(last) = digits.rfind(['.', ',']) else {
        return vec![Reading::of(digits, "")];
    };
    let (whole, fraction) = (&digits[..last], &digits[last + 1..]);
    if whole.contains(&digits[last..=last]) {
        return vec![Reading::of(digits, "")];
    }
    let decimal = Reading::of(whole, fraction);
    let only = !whole.contains(['.', ',']);
    if only && fraction.len() == 3 && (1..=3).contains(&whole.len()) {
        vec![Reading::of(digits, ""), decimal]
    } else {
        vec![decimal]
    }
}

impl Reading {
    fn of(whole: &str, fraction: &str) -> Self {
        let digits: String = whole.chars().filter(char::is_ascii_digit).collect();
        let places = i32::try_from(fraction.len()).unwrap_or(i32::MAX);
        Self {
            value: format!("0{digits}.{fraction}0")
                .parse()
                .unwrap_or(f64::INFINITY),
            place: 10f64.powi(-places),
        }
    }

    fn times(self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            place: self.place * factor,
        }
    }
}

/// In `3–5 %` and `between 3 and 5 percent` the sign at the end is meant for both.
fn share_percent(text: &str, numbers: &mut [Number]) {
    for at in (1..numbers.len()).rev() {
        let between = text[numbers[at - 1].span.end..numbers[at].span.start].trim();
        let joined = matches!(between, "-" | "–" | "—" | "/" | "to" | "or" | "and");
        let shares = numbers[at].kind == Kind::Percent && numbers[at - 1].kind == Kind::Plain;
        if joined && shares {
            numbers[at - 1].kind = Kind::Percent;
        }
    }
}

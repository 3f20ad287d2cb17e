//! Whether the numbers in an answer come from somewhere.
//!
//! An answer may use the figures that were computed, the numbers of the passages it was given and
//! those of the question itself. [`Evidence`] holds them; [`Evidence::unsupported`] names every
//! other number, and [`Evidence::without_unsupported`] removes the sentences that hold one.

mod number;
mod worded;

use super::figures::{Figure, Unit};

pub use number::{Kind, Number, Reading, numbers};

/// The numbers that an answer may use.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    known: Vec<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Without its sign.
    value: f64,
    kind: Kind,
}

impl Evidence {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds figures; their units count.
    pub fn with_figures<'a>(mut self, figures: impl IntoIterator<Item = &'a Figure>) -> Self {
        let known = figures.into_iter().map(|figure| Known {
            value: figure.value.abs(),
            kind: match figure.unit {
                Unit::Money | Unit::Currency(_) => Kind::Money,
                Unit::Percent => Kind::Percent,
                Unit::Months | Unit::Years => Kind::Plain,
            },
        });
        self.known.extend(known);
        self
    }

    /// Adds every number of a text: a passage, or what the user wrote.
    pub fn with_text(mut self, text: &str) -> Self {
        for Number { kind, readings, .. } in numbers(text) {
            let values = readings.iter().map(|reading| reading.value);
            self.known.extend(values.map(|value| Known { value, kind }));
        }
        self
    }

    /// The numbers of `answer` that nothing supports, in order.
    ///
    /// A number is supported by a known one of a fitting kind that rounds to it at the precision
    /// it is written in: `1,235` and `$1.2k` by 1,234.56, but not `1,300`. A percentage needs a
    /// percentage, an amount of money an amount or a bare number; a bare number fits any. Signs
    /// do not count, since "a loss of 500" and "-500" are the same.
    pub fn unsupported(&self, answer: &str) -> Vec<Number> {
        let mut found = numbers(answer);
        found.retain(|number| !self.supports(number));
        found
    }

    /// `answer` without the sentences that hold an unsupported number, and without the lines of
    /// which nothing but a list mark would stay. Everything else is unchanged.
    pub fn without_unsupported(&self, answer: &str) -> String {
        let unsupported = self.unsupported(answer);
        let starts: Vec<usize> = unsupported.iter().map(|number| number.span.start).collect();
        let mut kept = String::with_capacity(answer.len());
        let mut line_start = 0;
        for line in answer.split_inclusive('\n') {
            let end = line_start + line.len();
            if starts.iter().any(|at| (line_start..end).contains(at)) {
                let here = starts.iter().filter_map(|at| at.checked_sub(line_start));
                kept.push_str(&without_sentences(line, &here.collect::<Vec<_>>()));
            } else {
                kept.push_str(line);
            }
            line_start = end;
        }
        kept
    }

    fn supports(&self, number: &Number) -> bool {
        self.known.iter().any(|known| {
            fits(number.kind, known.kind)
                && number.readings.iter().any(|reading| {
                    // Half of the last written place, and a hair for binary fractions.
                    let slack = reading.place / 2.0 + 1e-9 * known.value;
                    (reading.value - known.value).abs() <= slack
                })
        })
    }
}

fn fits(claim: Kind, known: Kind) -> bool {
    match claim {
        Kind::Percent => known == Kind::Percent,
        Kind::Money => known != Kind::Percent,
        Kind::Plain => true,
    }
}

/// A line without the sentences in which one of the `starts` lies; empty if no word is left.
fn without_sentences(line: &str, starts: &[usize]) -> String {
    let text = line.trim_end_matches(['\n', '\r']);
    let mut kept = String::new();
    let mut start = 0;
    for end in sentence_ends(text) {
        if !starts.iter().any(|at| (start..end).contains(at)) {
            kept.push_str(&text[start..end]);
        }
        start = end;
    }
    if !kept.chars().any(char::is_alphabetic) {
        return String::new();
    }
    format!("{}{}", kept.trim_end(), &line[text.len()..])
}

/// Where the sentences of a line end, with the spaces behind them. A list mark at its beginning
/// counts as one, so that it stays when the sentence after it goes.
pub(super) fn sentence_ends(line: &str) -> Vec<usize> {
    let mark = line.len()
        - line
            .trim_start_matches([' ', '\t', '-', '*', '•', '>', '#'])
            .len();
    let mut ends = if mark > 0 { vec![mark] } else { Vec::new() };
    let mut stopped = false;
    for (at, c) in line.char_indices().skip_while(|(at, _)| *at < mark) {
        match c {
            '.' => stopped = !ABBREVIATIONS.iter().any(|word| line[..at].ends_with(word)),
            '!' | '?' => stopped = true,
            // These belong to the sentence that they close.
            '"' | '”' | '’' | ')' | ']' | '*' => {}
            ' ' if stopped => {
                stopped = false;
                ends.push(at + 1);
            }
            _ => stopped = false,
        }
    }
    if ends.last() != Some(&line.len()) {
        ends.push(line.len());
    }
    ends
}

const ABBREVIATIONS: [&str; 9] = [
    "e.g", "i.e", " approx", " ca", " vs", " Dr", " Mr", " Mrs", " No",
];

#[cfg(test)]
mod tests;

//! How often retrieval finds the right document.

use serde::Serialize;

/// Documents looked at.
pub const DOCUMENTS: usize = 5;

/// Where the right document stood for one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Whether the question was never used for choosing settings.
    pub held_out: bool,
    /// Its place among the documents that were found, from 0; `None` if it was not.
    pub rank: Option<usize>,
}

/// Scores of one way to search, as shares from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Questions asked.
    pub questions: usize,
    /// Share of questions whose document is among the first [`DOCUMENTS`].
    pub recall_at_5: f64,
    /// Mean of 1 over the place, from 1, of those documents.
    pub reciprocal_rank: f64,
}

/// Scores of all questions and of those held out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Of all.
    pub all: Scores,
    /// Of those never used for choosing settings.
    pub held_out: Scores,
}

impl Measured {
    /// What places come to.
    pub fn new(places: &[Place]) -> Measured {
        let held_out: Vec<Place> = places.iter().filter(|p| p.held_out).copied().collect();
        Measured {
            all: scores(places),
            held_out: scores(&held_out),
        }
    }
}

fn scores(places: &[Place]) -> Scores {
    let share = |sum: f64| match places.len() {
        0 => 0.0,
        questions => (sum / questions as f64 * 1e4).round() / 1e4,
    };
    let ranks = || {
        let ranks = places.iter().filter_map(|place| place.rank);
        ranks.filter(|rank| *rank < DOCUMENTS)
    };
    Scores {
        questions: places.len(),
        recall_at_5: share(ranks().count() as f64),
        reciprocal_rank: share(ranks().map(|rank| 1.0 / (rank + 1) as f64).sum()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_the_questions_asked() {
        let place = |held_out, rank| Place { held_out, rank };
        let measured = Measured::new(&[
            place(true, Some(0)),
            place(true, Some(5)),
            place(false, Some(3)),
            place(false, Some(1)),
        ]);
        assert_eq!(measured.all.recall_at_5, 0.75);
        assert_eq!(measured.all.reciprocal_rank, 0.4375);
        assert_eq!(measured.held_out.questions, 2);
        assert_eq!(measured.held_out.recall_at_5, 0.5);
        assert_eq!(Measured::new(&[]).all.recall_at_5, 0.0);
    }
}

//! One ranking out of two, by words and by meanings: reciprocal rank fusion.

use super::SHARE;

/// How little places differ from each other: the usual number of this method.
const DAMPING: f32 = 60.0;
/// Cosines below this have nothing in common. Over the shipped questions all-minilm gives tables that answer them
/// 0.31 and more, and questions about other things at most 0.24.
const LEAST_MEANT: f32 = 0.3;
/// Meanings with less than this share of the best one's are others.
const NEAR_BEST: f32 = 0.75;

/// Scores from 0 (nothing to do with the question) to 1. What is near the best of either list comes first, by its
/// places in both; the rest of what shares words with the question follows far behind.
pub(super) fn fused(words: &[f32], meant: &[f32]) -> Vec<f32> {
    let best = |scores: &[f32]| scores.iter().copied().fold(0.0, f32::max);
    let best_words = best(words);
    let by_words = places(words, SHARE * best_words);
    let by_meaning = places(meant, (NEAR_BEST * best(meant)).max(LEAST_MEANT));
    let share = |place: Option<usize>| {
        place.map_or(0.0, |place| {
            (DAMPING + 1.0) / 2.0 / (DAMPING + 1.0 + place as f32)
        })
    };
    let scores = words.iter().zip(by_words.into_iter().zip(by_meaning));
    scores
        .map(|(&word, (by_words, by_meaning))| {
            let score = share(by_words) + share(by_meaning);
            match score > 0.0 {
                true => score,
                false => SHARE / 4.0 * word / best_words.max(f32::MIN_POSITIVE),
            }
        })
        .collect()
}

/// The place of each score from the top, from 0; none of those that are 0 or below `least`.
fn places(scores: &[f32], least: f32) -> Vec<Option<usize>> {
    let mut ranked: Vec<usize> = (0..scores.len())
        .filter(|&at| scores[at] > 0.0 && scores[at] >= least)
        .collect();
    ranked.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    let mut places = vec![None; scores.len()];
    for (place, at) in ranked.into_iter().enumerate() {
        places[at] = Some(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(words: &[f32], meant: &[f32]) -> Vec<usize> {
        let scores = fused(words, meant);
        let mut order: Vec<usize> = (0..scores.len()).filter(|&at| scores[at] > 0.0).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        order
    }

    #[test]
    fn what_both_lists_have_comes_first() {
        assert_eq!(order(&[5.0, 4.0, 0.0], &[0.1, 0.6, 0.5]), [1, 0, 2]);
        // Words alone, meanings alone.
        assert_eq!(order(&[1.0, 2.0], &[0.2, 0.1]), [1, 0]);
        assert_eq!(order(&[0.0, 0.0], &[0.3, 0.6]), [1]);
    }

    #[test]
    fn what_is_far_behind_in_both_stays_behind() {
        let scores = fused(&[9.0, 0.5, 0.0], &[0.7, 0.1, 0.1]);
        assert_eq!(scores[0], 1.0);
        assert!(scores[1] > 0.0 && scores[1] < SHARE / 4.0);
        assert_eq!(scores[2], 0.0);
        assert_eq!(fused(&[0.0], &[0.24]), [0.0]);
    }
}

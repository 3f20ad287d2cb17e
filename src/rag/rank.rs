//! One order out of several: reciprocal rank fusion.
//!
//! Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods"
//! (SIGIR 2009): each list gives an item `1 / (60 + rank)`. Ranks are comparable where scores are not.

use std::collections::HashMap;
use std::hash::Hash;

/// How much the first places count for; the paper's value.
const SMOOTHING: f32 = 60.0;

/// Items of all lists, best first, with scores from 0 to 1: what stands first in every list has 1. Each list has a
/// weight. Ties keep the order in which they were first seen.
pub(super) fn fuse<T: Clone + Eq + Hash>(lists: &[(Vec<T>, f32)]) -> Vec<(T, f32)> {
    let weights: f32 = lists.iter().map(|(_, weight)| weight).sum();
    let best = weights / (SMOOTHING + 1.0);
    let mut order = Vec::new();
    let mut scores: HashMap<T, f32> = HashMap::new();
    for (list, weight) in lists {
        for (at, item) in list.iter().enumerate() {
            let score = scores.entry(item.clone()).or_insert_with(|| {
                order.push(item.clone());
                0.0
            });
            *score += weight / (SMOOTHING + 1.0 + at as f32);
        }
    }
    let mut fused: Vec<(T, f32)> = order
        .into_iter()
        .map(|item| {
            let score = scores[&item] / best;
            (item, score)
        })
        .collect();
    fused.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(lists: &[(Vec<&'static str>, f32)]) -> Vec<&'static str> {
        fuse(lists).into_iter().map(|(item, _)| item).collect()
    }

    #[test]
    fn what_both_lists_have_goes_before_what_one_has() {
        let lists = [(vec!["a", "b", "c"], 1.0), (vec!["d", "c", "e"], 1.0)];
        assert_eq!(order(&lists), ["c", "a", "d", "b", "e"]);
    }

    #[test]
    fn the_heavier_list_decides() {
        let lists = [(vec!["a", "b"], 0.5), (vec!["c", "d"], 1.0)];
        assert_eq!(order(&lists), ["c", "d", "a", "b"]);
    }

    #[test]
    fn scores_reach_from_nought_to_one() {
        let fused = fuse(&[(vec!["a", "b"], 1.0), (vec!["a", "c"], 0.5)]);
        assert_eq!(fused[0].0, "a");
        assert!((fused[0].1 - 1.0).abs() < 1e-6);
        assert!(
            fused
                .iter()
                .all(|(_, score)| *score > 0.0 && *score < 1.001)
        );
        assert_eq!(fuse(&[(vec!["x"], 1.0)]), [("x", 1.0)]);
        assert!(fuse::<&str>(&[]).is_empty());
    }
}

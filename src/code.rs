//! Code at a cursor: what could stand there, in several versions, cut where the block ends. And [`review`]s of
//! changes, and whole projects from words ([`mod@generate`]).
//!
//! Plain functions over the engine; nothing here knows HTTP.

mod cache;
mod candidate;
mod cursor;
mod cut;
pub mod generate;
mod prompt;
pub mod review;

use std::cmp::Ordering;

use crate::engine::{EngineError, Event, Generation, Lease, Sampling};
use crate::ops::metrics;

pub use cache::{CompletionCache, CompletionKey};
pub use cursor::{CursorError, split_at};

use candidate::Candidate;
use cut::Place;

/// With one candidate the likeliest code is wanted, with several they should differ.
const TEMPERATURE: f32 = 0.6;
const TOP_P: f32 = 0.95;
/// The same code at the same cursor is completed in the same way.
const SEED: i64 = 1;

/// What to complete.
#[derive(Clone, Debug)]
pub struct CompletionRequest {
    /// Code before the cursor.
    pub prefix: String,
    /// Code after it.
    pub suffix: String,
    /// The language by any name, or nothing.
    pub language: String,
    /// Versions wanted, at least 1.
    pub candidates: usize,
    /// Tokens of each at most.
    pub max_tokens: usize,
    /// Cached prefixes are shared within it only.
    pub tenant: String,
}

/// What could stand at the cursor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completions {
    /// The likeliest first; none twice, none empty.
    pub texts: Vec<String>,
    /// Geometric mean of the probabilities of the first one's tokens, 0 if there is none.
    pub confidence: f64,
}

/// Asks the model for all candidates in one batch over one prompt. It stops as soon as every candidate has
/// come to its end, and when the future is dropped.
pub async fn complete(
    lease: &Lease,
    request: CompletionRequest,
) -> Result<Completions, EngineError> {
    let room = prompt::Room {
        context_tokens: lease.context_tokens(),
        max_tokens: request.max_tokens,
    };
    let tokenizer = lease.tokenizer().clone();
    // Long files take their time to be split into tokens.
    let prepared = tokio::task::spawn_blocking(move || {
        let tokens = prompt::tokens(&tokenizer, &request, room);
        tokens.map(|tokens| (request, tokens))
    });
    let (request, tokens) = prepared.await.map_err(|_| EngineError::Stopped)??;
    let count = request.candidates.max(1);
    let mut events = lease.generate(generation(&request, tokens, count)).await?;
    let place = Place::new(&request.prefix, &request.suffix);
    let mut candidates = vec![Candidate::default(); count];
    while candidates.iter().any(|candidate| !candidate.is_over) {
        match events.recv().await.ok_or(EngineError::Stopped)? {
            Event::Text {
                candidate,
                text,
                logprobs,
            } => candidates[candidate].take(&text, &logprobs, &place),
            Event::Done {
                candidate, usage, ..
            } => {
                candidates[candidate].is_over = true;
                metrics::answer(lease.name(), &usage);
            }
            Event::Failed(reason) => return Err(EngineError::Step(reason)),
        }
    }
    Ok(best(&candidates, &place))
}

fn generation(request: &CompletionRequest, prompt: Vec<u32>, candidates: usize) -> Generation {
    let temperature = if candidates == 1 { 0.0 } else { TEMPERATURE };
    Generation {
        prompt,
        sampling: Sampling {
            temperature,
            top_p: TOP_P,
            seed: SEED,
            ..Sampling::default()
        },
        predict: i64::try_from(request.max_tokens).unwrap_or(i64::MAX),
        keep: 0,
        shift: false,
        stop: prompt::stops(request),
        logprobs: Some(0),
        candidates,
        tenant: request.tenant.clone(),
        constraint: None,
    }
}

/// The different ones among the candidates, the likeliest first.
fn best(candidates: &[Candidate], place: &Place<'_>) -> Completions {
    let mut found: Vec<(f64, &str)> = Vec::new();
    for candidate in candidates {
        let text = place.kept(&candidate.text);
        let is_known = found.iter().any(|(_, known)| known.trim() == text.trim());
        if !text.trim().is_empty() && !is_known {
            found.push((candidate.mean_logprob(text.len()), text));
        }
    }
    found.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    Completions {
        confidence: found
            .first()
            .map_or(0.0, |(mean, _)| mean.exp().clamp(0.0, 1.0)),
        texts: found.iter().map(|(_, text)| (*text).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{LogprobItem, TokenLogprob};

    fn said(tokens: &[(&str, f32)], place: &Place<'_>) -> Candidate {
        let mut candidate = Candidate::default();
        for (text, logprob) in tokens {
            let token = LogprobItem {
                text: (*text).to_owned(),
                bytes: text.as_bytes().to_vec(),
                logprob: *logprob,
            };
            let top = Vec::new();
            candidate.take(text, &[TokenLogprob { token, top }], place);
        }
        candidate
    }

    #[test]
    fn the_likeliest_comes_first_and_nothing_comes_twice() {
        let place = Place::new("x = ", "");
        let candidates = [
            said(&[("1", -2.0)], &place),
            said(&[("a", -0.5), ("b", -1.5)], &place),
            said(&[("1", -2.0), (" ", -0.1)], &place),
            said(&[("\n", -0.1)], &place),
        ];
        let best = best(&candidates, &place);
        assert_eq!(best.texts, ["ab", "1"]);
        assert!((best.confidence - (-1.0_f64).exp()).abs() < 1e-6);
        assert_eq!(super::best(&[], &place), Completions::default());
    }

    #[test]
    fn what_was_cut_off_does_not_count() {
        let place = Place::new("a = [1", "]\n");
        let candidate = said(&[(", 2", -0.1), ("]", -9.0), ("\nb", -9.0)], &place);
        assert!(candidate.is_over);
        let best = best(&[candidate], &place);
        assert_eq!(best.texts, [", 2"]);
        assert!((best.confidence - (-0.1_f64).exp()).abs() < 1e-6);
    }
}

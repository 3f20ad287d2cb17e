//! Code at a cursor: what could stand there, in several versions, cut where the block ends, those first with which the
//! text parses. And [`review`]s of changes, and whole projects from words ([`mod@generate`]).
//!
//! Plain functions over the engine; nothing here knows HTTP.

mod cache;
mod candidate;
pub(crate) mod check;
mod cursor;
mod cut;
pub mod generate;
mod language;
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
/// Longer code is not parsed with every candidate: whoever types would feel it.
const PARSED_BYTES: usize = 32 << 10;
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
    /// Those first with which the code parses, of them the likeliest; none twice, none empty.
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
    let found = different(&candidates, &place);
    // Parsing is work of the kind that the threads of answers are not for.
    let best = tokio::task::spawn_blocking(move || best(found, &request));
    best.await.map_err(|_| EngineError::Stopped)
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
        printed: Vec::new(),
        logprobs: Some(0),
        candidates,
        tenant: request.tenant.clone(),
        constraint: None,
    }
}

/// The different ones among the candidates, with the mean log-probability of their tokens.
fn different(candidates: &[Candidate], place: &Place<'_>) -> Vec<(f64, String)> {
    let mut found: Vec<(f64, String)> = Vec::new();
    for candidate in candidates {
        let text = place.kept(&candidate.text);
        let is_known = found.iter().any(|(_, known)| known.trim() == text.trim());
        if !text.trim().is_empty() && !is_known {
            found.push((candidate.mean_logprob(text.len()), text.to_owned()));
        }
    }
    found
}

/// Those with which the code parses before the others, and the likeliest first. Code that is broken elsewhere parses
/// with none of them.
fn best(mut found: Vec<(f64, String)>, request: &CompletionRequest) -> Completions {
    found.sort_by(|(a, _), (b, _)| b.partial_cmp(a).unwrap_or(Ordering::Equal));
    let language = language::named(&request.language);
    let is_short = request.prefix.len() + request.suffix.len() <= PARSED_BYTES;
    if found.len() > 1 && is_short && check::is_known(language) {
        found.sort_by_cached_key(|(_, text)| {
            let code = [&*request.prefix, text, &*request.suffix].concat();
            check::problem(language, &code).is_some()
        });
    }
    Completions {
        confidence: found
            .first()
            .map_or(0.0, |(mean, _)| mean.exp().clamp(0.0, 1.0)),
        texts: found.into_iter().map(|(_, text)| text).collect(),
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

    /// The best of some candidates for a gap in Python.
    fn best_of(candidates: &[Candidate], prefix: &str, suffix: &str) -> Completions {
        let request = CompletionRequest {
            prefix: prefix.to_owned(),
            suffix: suffix.to_owned(),
            language: "Python".to_owned(),
            candidates: candidates.len(),
            max_tokens: 8,
            tenant: String::new(),
        };
        best(different(candidates, &Place::new(prefix, suffix)), &request)
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
        let best = best_of(&candidates, "x = ", "");
        assert_eq!(best.texts, ["ab", "1"]);
        assert!((best.confidence - (-1.0_f64).exp()).abs() < 1e-6);
        assert_eq!(best_of(&[], "x = ", ""), Completions::default());
    }

    #[test]
    fn what_parses_comes_before_what_is_likelier() {
        let place = Place::new("x = f(", ")\n");
        let candidates = [
            said(&[("1 +", -0.1)], &place),
            said(&[("1", -3.0)], &place),
            said(&[("2", -2.0)], &place),
        ];
        let best = best_of(&candidates, "x = f(", ")\n");
        assert_eq!(best.texts, ["2", "1", "1 +"]);
        assert!((best.confidence - (-2.0_f64).exp()).abs() < 1e-6);
        // Where nothing parses anyway, the likeliest stays first.
        let best = best_of(&candidates, "def (\nx = f(", ")\n");
        assert_eq!(best.texts, ["1 +", "2", "1"]);
    }

    #[test]
    fn what_was_cut_off_does_not_count() {
        let place = Place::new("a = [1", "]\n");
        let candidate = said(&[(", 2", -0.1), ("]", -9.0), ("\nb", -9.0)], &place);
        assert!(candidate.is_over);
        let best = best_of(&[candidate], "a = [1", "]\n");
        assert_eq!(best.texts, [", 2"]);
        assert!((best.confidence - (-0.1_f64).exp()).abs() < 1e-6);
    }
}

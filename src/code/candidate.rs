//! One version of a completion while it is written.

use crate::engine::TokenLogprob;

use super::cut::Place;

/// Text so far, and the tokens behind it.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    pub(super) text: String,
    /// Bytes and log-probability of each token.
    tokens: Vec<(usize, f64)>,
    /// Whether nothing more is wanted of it.
    pub(super) is_over: bool,
}

impl Candidate {
    /// Adds what the model wrote, unless this one is over already.
    pub(super) fn take(&mut self, text: &str, logprobs: &[TokenLogprob], place: &Place<'_>) {
        if self.is_over {
            return;
        }
        self.text.push_str(text);
        let tokens = logprobs.iter().map(|token| &token.token);
        self.tokens
            .extend(tokens.map(|token| (token.bytes.len(), f64::from(token.logprob))));
        self.is_over = place.end(&self.text).is_some();
    }

    /// Mean log-probability of the tokens that make up the first `kept_bytes`; of none it is minus infinity.
    pub(super) fn mean_logprob(&self, kept_bytes: usize) -> f64 {
        let mut start = 0;
        let behind = self.tokens.iter().take_while(|(bytes, _)| {
            let is_behind = start < kept_bytes;
            start += bytes;
            is_behind
        });
        let (count, sum) = behind.fold((0_u32, 0.0), |(count, sum), (_, logprob)| {
            (count + 1, sum + logprob)
        });
        match count {
            0 => f64::NEG_INFINITY,
            count => sum / f64::from(count),
        }
    }
}

//! From logits to one token, in llama.cpp's order: penalties, top-k, typical, top-p, min-p, temperature, draw.
//!
//! top-p and min-p therefore look at probabilities of temperature 1. With mirostat the chain is temperature
//! and mirostat alone. Formulas: typical sampling arXiv 2202.00666, mirostat arXiv 2007.14966.

use std::collections::HashMap;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Candidates mirostat 1 estimates the shape of the distribution from.
const MIROSTAT_CANDIDATES: usize = 100;

/// How tokens are chosen; the defaults are Ollama's.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Divides logits before the draw; zero or less always takes the best token.
    pub temperature: f32,
    /// Best tokens kept; zero or less keeps all.
    pub top_k: i64,
    /// Smallest set of tokens that holds this much probability; 1 keeps all.
    pub top_p: f32,
    /// Tokens kept have at least this share of the best one's probability; 0 keeps all.
    pub min_p: f32,
    /// Locally typical share; 1 keeps all.
    pub typical_p: f32,
    /// Tokens that penalties look back on, the prompt included; 0 none, -1 all.
    pub repeat_last_n: i64,
    /// Divides positive and multiplies negative logits of recent tokens; 1 does nothing.
    pub repeat_penalty: f32,
    /// Subtracted once from logits of recent tokens.
    pub presence_penalty: f32,
    /// Subtracted from logits of recent tokens once per occurrence.
    pub frequency_penalty: f32,
    /// 0 off, 1 or 2: the version of mirostat.
    pub mirostat: u8,
    /// Surprise mirostat aims at, in bits.
    pub mirostat_tau: f32,
    /// How fast mirostat corrects itself.
    pub mirostat_eta: f32,
    /// Same seed, same text; -1 draws a seed.
    pub seed: i64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.8,
            top_k: 40,
            top_p: 0.9,
            min_p: 0.0,
            typical_p: 1.0,
            repeat_last_n: 64,
            repeat_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            mirostat: 0,
            mirostat_tau: 5.0,
            mirostat_eta: 0.1,
            seed: -1,
        }
    }
}

/// One token still in the running: its logit, later its probability.
#[derive(Clone, Copy, Debug)]
struct Choice {
    id: u32,
    logit: f32,
    p: f32,
}

/// Draws tokens for one answer.
#[derive(Debug)]
pub(super) struct Sampler {
    options: Sampling,
    rng: ChaCha8Rng,
    surprise: f32,
    choices: Vec<Choice>,
}

impl Sampler {
    /// `candidate` is added to the seed, so that the answers of one request differ.
    pub(super) fn new(options: Sampling, candidate: usize) -> Self {
        let seed = match options.seed {
            -1 => rand::rng().random(),
            seed => (seed as u64).wrapping_add(candidate as u64),
        };
        let surprise = 2.0 * options.mirostat_tau;
        Self {
            options,
            rng: ChaCha8Rng::seed_from_u64(seed),
            surprise,
            choices: Vec::new(),
        }
    }

    /// The next token. `history` is the text so far, prompt included; `logits` are changed by penalties.
    /// Tokens at negative infinity are never drawn unless all are.
    pub(super) fn sample(&mut self, logits: &mut [f32], history: &[u32]) -> u32 {
        if self.options.mirostat == 0 {
            self.penalise(logits, history);
        }
        if self.options.temperature <= 0.0 {
            return best(logits);
        }
        let mut choices = std::mem::take(&mut self.choices);
        let chosen = match self.options.mirostat {
            1 => self.mirostat_1(logits, &mut choices),
            2 => self.mirostat_2(logits, &mut choices),
            _ => self.chain(logits, &mut choices),
        };
        self.choices = choices;
        chosen
    }

    fn penalise(&self, logits: &mut [f32], history: &[u32]) {
        let Sampling {
            repeat_penalty,
            presence_penalty,
            frequency_penalty,
            ..
        } = self.options;
        let neutral = repeat_penalty == 1.0 && presence_penalty == 0.0 && frequency_penalty == 0.0;
        let window = match usize::try_from(self.options.repeat_last_n) {
            Ok(n) => n.min(history.len()),
            Err(_) => history.len(),
        };
        if neutral || window == 0 {
            return;
        }
        let mut counts: HashMap<u32, f32> = HashMap::new();
        for &id in &history[history.len() - window..] {
            *counts.entry(id).or_default() += 1.0;
        }
        for (id, count) in counts {
            let Some(logit) = logits.get_mut(id as usize) else {
                continue;
            };
            if *logit <= 0.0 {
                *logit *= repeat_penalty;
            } else {
                *logit /= repeat_penalty;
            }
            *logit -= count * frequency_penalty + presence_penalty;
        }
    }

    fn chain(&mut self, logits: &[f32], choices: &mut Vec<Choice>) -> u32 {
        let keep = match usize::try_from(self.options.top_k) {
            Ok(k) if k > 0 => k,
            _ => usize::MAX,
        };
        top_k(logits, keep, choices);
        typical(choices, self.options.typical_p);
        top_p(choices, self.options.top_p);
        min_p(choices, self.options.min_p);
        heat(choices, self.options.temperature);
        self.draw(choices).id
    }

    fn mirostat_1(&mut self, logits: &[f32], choices: &mut Vec<Choice>) -> u32 {
        top_k(logits, usize::MAX, choices);
        heat(choices, self.options.temperature);
        softmax(choices);
        let (mut products, mut squares) = (0.0f32, 0.0f32);
        for (i, pair) in choices.windows(2).take(MIROSTAT_CANDIDATES - 1).enumerate() {
            let t = ((i + 2) as f32 / (i + 1) as f32).ln();
            products += t * (pair[0].p / pair[1].p).ln();
            squares += t * t;
        }
        let slope = products / squares;
        let epsilon = slope - 1.0;
        let vocabulary = choices.len() as f32;
        // The quotient's limit where the distribution falls exactly as one over the rank.
        let scale = match epsilon.abs() < 1e-3 {
            true => 1.0 / vocabulary.ln(),
            false => epsilon / (1.0 - vocabulary.powf(-epsilon)),
        };
        let keep = (scale * self.surprise.exp2()).powf(1.0 / slope);
        if keep.is_finite() {
            choices.truncate((keep as usize).max(1));
        }
        self.draw_and_learn(choices)
    }

    fn mirostat_2(&mut self, logits: &[f32], choices: &mut Vec<Choice>) -> u32 {
        top_k(logits, usize::MAX, choices);
        heat(choices, self.options.temperature);
        softmax(choices);
        let keep = choices
            .iter()
            .take_while(|c| -c.p.log2() <= self.surprise)
            .count();
        choices.truncate(keep.max(1));
        self.draw_and_learn(choices)
    }

    fn draw_and_learn(&mut self, choices: &mut [Choice]) -> u32 {
        let chosen = self.draw(choices);
        let error = -chosen.p.log2() - self.options.mirostat_tau;
        self.surprise -= self.options.mirostat_eta * error;
        chosen.id
    }

    fn draw(&mut self, choices: &mut [Choice]) -> Choice {
        softmax(choices);
        let mut left: f32 = self.rng.random();
        for choice in choices.iter() {
            left -= choice.p;
            if left < 0.0 {
                return *choice;
            }
        }
        // Rounding can leave a sum just below one: the draw then falls to the best token.
        choices[0]
    }
}

/// Index of the largest logit, the first of equals.
pub(super) fn best(logits: &[f32]) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (id, &logit) in logits.iter().enumerate() {
        if logit > best.1 {
            best = (id, logit);
        }
    }
    best.0 as u32
}

/// Natural logarithm of the sum of exponentials of `logits`.
pub(super) fn log_sum_exp(logits: &[f32]) -> f32 {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    max + logits.iter().map(|l| (l - max).exp()).sum::<f32>().ln()
}

/// Ids and logits of the `count` best tokens, best first.
pub(super) fn best_tokens(logits: &[f32], count: usize) -> Vec<(u32, f32)> {
    let mut choices = Vec::new();
    top_k(logits, count, &mut choices);
    choices.truncate(count);
    choices.iter().map(|c| (c.id, c.logit)).collect()
}

/// Fills `choices` with the `keep` best tokens (at least one), best first.
fn top_k(logits: &[f32], keep: usize, choices: &mut Vec<Choice>) {
    let keep = keep.max(1);
    let by_logit = |a: &Choice, b: &Choice| b.logit.total_cmp(&a.logit).then(a.id.cmp(&b.id));
    choices.clear();
    let mut floor = f32::NEG_INFINITY;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > floor {
            choices.push(Choice {
                id: id as u32,
                logit,
                p: 0.0,
            });
            // Pruning at twice the size keeps the pass linear: each prune is paid for by `keep` pushes.
            if choices.len() >= keep.saturating_mul(2) {
                choices.select_nth_unstable_by(keep - 1, by_logit);
                choices.truncate(keep);
                floor = choices[keep - 1].logit;
            }
        }
    }
    choices.sort_unstable_by(by_logit);
    choices.truncate(keep);
    if choices.is_empty() {
        choices.push(Choice {
            id: best(logits),
            logit: 0.0,
            p: 1.0,
        });
    }
}

/// Probabilities from logits; expects the best choice first.
fn softmax(choices: &mut [Choice]) {
    let max = choices
        .iter()
        .map(|c| c.logit)
        .fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for choice in choices.iter_mut() {
        choice.p = (choice.logit - max).exp();
        sum += choice.p;
    }
    for choice in choices.iter_mut() {
        choice.p /= sum;
    }
}

fn typical(choices: &mut Vec<Choice>, share: f32) {
    if share >= 1.0 {
        return;
    }
    softmax(choices);
    let entropy: f32 = choices
        .iter()
        .filter(|c| c.p > 0.0)
        .map(|c| -c.p * c.p.ln())
        .sum();
    let distance = |c: &Choice| (-c.p.ln() - entropy).abs();
    choices.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    let mut sum = 0.0;
    let keep = choices.iter().position(|c| {
        sum += c.p;
        sum > share
    });
    choices.truncate(keep.map_or(choices.len(), |i| i + 1));
    choices.sort_by(|a, b| b.logit.total_cmp(&a.logit));
}

fn top_p(choices: &mut Vec<Choice>, share: f32) {
    if share >= 1.0 {
        return;
    }
    softmax(choices);
    let mut sum = 0.0;
    let keep = choices.iter().position(|c| {
        sum += c.p;
        sum >= share
    });
    choices.truncate(keep.map_or(choices.len(), |i| i + 1));
}

fn min_p(choices: &mut Vec<Choice>, share: f32) {
    if share <= 0.0 {
        return;
    }
    let floor = choices[0].logit + share.ln();
    let keep = choices.iter().take_while(|c| c.logit >= floor).count();
    choices.truncate(keep.max(1));
}

fn heat(choices: &mut [Choice], temperature: f32) {
    for choice in choices {
        choice.logit /= temperature;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Logits of the given probabilities.
    fn logits(p: &[f32]) -> Vec<f32> {
        p.iter().map(|p| p.ln()).collect()
    }

    fn plain() -> Sampling {
        Sampling {
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            seed: 7,
            ..Sampling::default()
        }
    }

    /// Share of each token in many draws.
    fn shares(options: Sampling, p: &[f32], history: &[u32]) -> Vec<f32> {
        let mut sampler = Sampler::new(options, 0);
        let mut counts = vec![0.0; p.len()];
        for _ in 0..20_000 {
            counts[sampler.sample(&mut logits(p), history) as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    fn close(got: &[f32], want: &[f32]) {
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 0.015, "{got:?} is not {want:?}");
        }
    }

    #[test]
    fn draws_follow_the_probabilities() {
        close(&shares(plain(), &[0.1, 0.6, 0.3], &[]), &[0.1, 0.6, 0.3]);
    }

    #[test]
    fn zero_temperature_takes_the_best() {
        let options = Sampling {
            temperature: 0.0,
            ..plain()
        };
        close(&shares(options, &[0.3, 0.4, 0.3], &[]), &[0.0, 1.0, 0.0]);
    }

    #[test]
    fn temperature_comes_after_the_cuts() {
        // At temperature 1 the first two tokens hold 0.9; a hot distribution alone would need three.
        let options = Sampling {
            top_p: 0.85,
            temperature: 2.0,
            ..plain()
        };
        let heated = [0.6f32.sqrt(), 0.3f32.sqrt()];
        let sum = heated[0] + heated[1];
        close(
            &shares(options, &[0.6, 0.3, 0.1], &[]),
            &[heated[0] / sum, heated[1] / sum, 0.0],
        );
    }

    #[test]
    fn top_k_keeps_the_best() {
        let options = Sampling {
            top_k: 2,
            ..plain()
        };
        close(
            &shares(options, &[0.1, 0.6, 0.3], &[]),
            &[0.0, 2.0 / 3.0, 1.0 / 3.0],
        );
    }

    #[test]
    fn top_k_prunes_long_lists_rightly() {
        let many: Vec<f32> = (0..1000).map(|i| ((i * 7919) % 1000) as f32).collect();
        let got: Vec<f32> = best_tokens(&many, 5).iter().map(|t| t.1).collect();
        assert_eq!(got, [999.0, 998.0, 997.0, 996.0, 995.0]);
    }

    #[test]
    fn min_p_is_relative_to_the_best() {
        let options = Sampling {
            min_p: 0.4,
            ..plain()
        };
        close(
            &shares(options, &[0.5, 0.3, 0.2 - 1e-4], &[]),
            &[0.625, 0.375, 0.0],
        );
    }

    #[test]
    fn typical_prefers_average_surprise() {
        // The entropy is 1.09 nats; 0.3 (1.20) lies nearest to it, 0.5 (0.69) next, 0.05 (3.0) farthest.
        let options = Sampling {
            typical_p: 0.75,
            ..plain()
        };
        let got = shares(options, &[0.5, 0.3, 0.15, 0.05], &[]);
        assert!(got[3] == 0.0 && got[1] > 0.3, "{got:?}");
    }

    #[test]
    fn penalties_follow_their_formulas() {
        let sampler = Sampler::new(
            Sampling {
                repeat_penalty: 2.0,
                presence_penalty: 0.5,
                frequency_penalty: 0.25,
                repeat_last_n: 3,
                ..plain()
            },
            0,
        );
        let mut got = vec![4.0, -4.0, 4.0, 4.0];
        sampler.penalise(&mut got, &[2, 0, 0, 1]);
        assert_eq!(got, [4.0 / 2.0 - 0.5 - 0.5, -8.0 - 0.25 - 0.5, 4.0, 4.0]);
    }

    #[test]
    fn no_window_means_no_penalty() {
        let sampler = Sampler::new(
            Sampling {
                repeat_penalty: 2.0,
                repeat_last_n: 0,
                ..plain()
            },
            0,
        );
        let mut got = vec![4.0];
        sampler.penalise(&mut got, &[0]);
        assert_eq!(got, [4.0]);
    }

    #[test]
    fn same_seed_same_draws() {
        let draws = |seed, candidate| {
            let mut sampler = Sampler::new(Sampling { seed, ..plain() }, candidate);
            (0..50)
                .map(|_| sampler.sample(&mut logits(&[0.25; 4]), &[]))
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(3, 0), draws(3, 0));
        assert_ne!(draws(3, 0), draws(4, 0));
        assert_eq!(draws(3, 1), draws(4, 0));
    }

    #[test]
    fn mirostat_holds_its_surprise() {
        let weights: Vec<f32> = (1..=500).map(|rank| 1.0 / rank as f32).collect();
        let sum: f32 = weights.iter().sum();
        let p: Vec<f32> = weights.iter().map(|w| w / sum).collect();
        for version in [1, 2] {
            let options = Sampling {
                mirostat: version,
                mirostat_tau: 3.0,
                mirostat_eta: 0.1,
                ..plain()
            };
            let mut sampler = Sampler::new(options, 0);
            let mut surprise = 0.0;
            for i in 0..4000 {
                let id = sampler.sample(&mut logits(&p), &[]);
                if i >= 1000 {
                    surprise += -p[id as usize].log2() / 3000.0;
                }
            }
            // Surprise is measured after the cut, so the uncut one lies somewhat higher.
            assert!(
                (2.6..4.2).contains(&surprise),
                "version {version}: {surprise} bits"
            );
        }
    }

    #[test]
    fn forbidden_tokens_are_never_drawn() {
        let mut sampler = Sampler::new(plain(), 0);
        for _ in 0..200 {
            let mut masked = vec![f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY];
            assert_eq!(sampler.sample(&mut masked, &[]), 1);
        }
    }

    #[test]
    fn not_a_number_does_not_win() {
        let mut sampler = Sampler::new(plain(), 0);
        assert_eq!(sampler.sample(&mut [f32::NAN, 1.0], &[]), 1);
    }
}

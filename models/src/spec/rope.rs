//! Rotary position embedding: which angle each pair of lanes turns by at each position.

use std::f64::consts::TAU;

use wick_kernels::Pairing;

use super::{Keys, bad_key};
use crate::weights::{bad_tensor, vector};
use crate::{Error, Gguf};

/// Rotation of the first `dims` lanes of each head.
#[derive(Clone, Debug, PartialEq)]
pub struct Rope {
    /// Which lanes form a pair.
    pub pairing: Pairing,
    /// Lanes that turn, an even number; the rest of the head stays.
    pub dims: usize,
    /// Base of the frequencies `base^(-2i/dims)`.
    pub base: f64,
    /// How positions beyond the training length are squeezed in.
    pub scaling: RopeScaling,
    /// Divisors of the frequencies, one per pair (Llama 3.1 and later, Phi 3 with a long context).
    pub factors: Option<Vec<f32>>,
    /// Factor on cosine and sine, 1 in most files.
    pub magnitude: f64,
}

/// Stretching of the context beyond the length of training.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    None,
    /// Every position is divided by `factor`.
    Linear {
        /// Stretch, at least above zero.
        factor: f64,
    },
    /// YaRN (Peng et al. 2023): slow pairs are divided by `factor`, fast ones kept, a ramp between; longer vectors.
    Yarn {
        /// Stretch.
        factor: f64,
        /// Positions the model was trained on before.
        original_context: f64,
    },
}

/// Turns per training context above and below which YaRN keeps or divides a frequency.
const YARN_FAST_TURNS: f64 = 32.0;
const YARN_SLOW_TURNS: f64 = 1.0;

impl Rope {
    /// Reads the rope keys of the architecture and `rope_freqs.weight`.
    pub(crate) fn from_gguf(gguf: &Gguf, head_dim: usize, pairing: Pairing) -> Result<Rope, Error> {
        let keys = Keys(gguf);
        let dims = keys.size_or("rope.dimension_count", head_dim as u64, head_dim)?;
        // The short ones hold up to the context of the first training, which is all a Phi 3 spec promises.
        let names = ["rope_freqs.weight", "rope_factors_short.weight"];
        let factors = names.into_iter().find(|name| gguf.has_tensor(name));
        let factors = factors
            .map(|name| vector(gguf, name, dims / 2))
            .transpose()?;
        let magnitude = match gguf.arch_f32("rope.scaling.attn_factor")? {
            None => 1.0,
            Some(_) => f64::from(keys.positive("rope.scaling.attn_factor")?),
        };
        let rope = Rope {
            pairing,
            dims,
            base: f64::from(gguf.arch_f32("rope.freq_base")?.unwrap_or(10_000.0)),
            scaling: scaling(&keys)?,
            factors,
            magnitude,
        };
        rope.check(gguf)?;
        Ok(rope)
    }

    /// Whether the numbers give finite angles.
    pub(super) fn check(&self, gguf: &Gguf) -> Result<(), Error> {
        if !self.dims.is_multiple_of(2) {
            return Err(bad_key(
                gguf,
                "rope.dimension_count",
                format!("{} is odd", self.dims),
            ));
        }
        if !(self.base.is_finite() && self.base > 1.0) {
            return Err(bad_key(
                gguf,
                "rope.freq_base",
                format!("{} is not a number above 1", self.base),
            ));
        }
        let factors = self.factors.iter().flatten();
        if let Some(factor) = factors
            .copied()
            .find(|factor| !(factor.is_finite() && *factor > 0.0))
        {
            return Err(bad_tensor(
                gguf,
                "rope factors",
                format!("{factor} is not a positive number"),
            ));
        }
        Ok(())
    }

    /// The rotation as an angle per position for each pair, and the length of the turned vectors.
    pub fn table(&self) -> RopeTable {
        let pairs = self.dims / 2;
        let mut magnitude = self.magnitude;
        let mut frequencies: Vec<f64> = (0..pairs)
            .map(|pair| self.base.powf(-2.0 * pair as f64 / self.dims as f64))
            .collect();
        if let Some(factors) = &self.factors {
            for (frequency, factor) in frequencies.iter_mut().zip(factors) {
                *frequency /= f64::from(*factor);
            }
        }
        match self.scaling {
            RopeScaling::None => {}
            RopeScaling::Linear { factor } => frequencies
                .iter_mut()
                .for_each(|frequency| *frequency /= factor),
            RopeScaling::Yarn {
                factor,
                original_context,
            } => {
                magnitude *= 1.0 + 0.1 * factor.ln();
                let low = self
                    .pair_turning(YARN_FAST_TURNS, original_context)
                    .floor()
                    .max(0.0);
                let high = self
                    .pair_turning(YARN_SLOW_TURNS, original_context)
                    .ceil()
                    .min(self.dims as f64 - 1.0);
                for (pair, frequency) in frequencies.iter_mut().enumerate() {
                    let ramp = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                    *frequency *= (1.0 - ramp) + ramp / factor;
                }
            }
        }
        RopeTable {
            frequencies,
            magnitude,
        }
    }

    /// The (fractional) pair that turns `turns` times within `context` positions.
    fn pair_turning(&self, turns: f64, context: f64) -> f64 {
        self.dims as f64 * (context / (turns * TAU)).ln() / (2.0 * self.base.ln())
    }
}

/// Angles per position, ready to be evaluated.
#[derive(Clone, Debug)]
pub struct RopeTable {
    frequencies: Vec<f64>,
    magnitude: f64,
}

impl RopeTable {
    /// Pairs that turn: the length of a row of cosines.
    pub fn pairs(&self) -> usize {
        self.frequencies.len()
    }

    /// Cosines and sines of one position, each of `pairs()` values.
    ///
    /// Angles are computed in f64: at position 100 000 an f32 angle is off by up to 0.004, an f64 one by nothing that
    /// the f32 results show.
    pub fn fill(&self, position: usize, cos: &mut [f32], sin: &mut [f32]) {
        for ((frequency, cos), sin) in self.frequencies.iter().zip(cos).zip(sin) {
            let (s, c) = (position as f64 * frequency).sin_cos();
            *cos = (c * self.magnitude) as f32;
            *sin = (s * self.magnitude) as f32;
        }
    }
}

fn scaling(keys: &Keys<'_>) -> Result<RopeScaling, Error> {
    let gguf = keys.0;
    // Files of 2023 say `rope.scale_linear` and no type.
    let old = gguf.arch_f32("rope.scale_linear")?;
    let kind = match gguf.arch_str("rope.scaling.type")? {
        Some(kind) => kind.to_owned(),
        None if old.is_some() || gguf.arch_f32("rope.scaling.factor")?.is_some() => {
            "linear".to_owned()
        }
        None => "none".to_owned(),
    };
    let factor = match gguf.arch_f32("rope.scaling.factor")?.or(old) {
        // Some converters write 0 for "none".
        None | Some(0.0) => 1.0,
        Some(factor) if factor.is_finite() && factor > 0.0 => f64::from(factor),
        Some(factor) => {
            return Err(keys.bad(
                "rope.scaling.factor",
                format!("{factor} is not a positive number"),
            ));
        }
    };
    match kind.as_str() {
        // The factors of LongRope are tensors of their own.
        "none" | "longrope" => Ok(RopeScaling::None),
        "linear" => Ok(RopeScaling::Linear { factor }),
        "yarn" => {
            let context = keys.size_or("context_length", u64::MAX, 1)?;
            let original =
                keys.size_or("rope.scaling.original_context_length", u64::MAX, context)?;
            Ok(RopeScaling::Yarn {
                factor,
                original_context: original as f64,
            })
        }
        other => Err(keys.bad("rope.scaling.type", format!("'{other}' is not supported"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope(scaling: RopeScaling, factors: Option<Vec<f32>>) -> Rope {
        Rope {
            pairing: Pairing::Adjacent,
            dims: 64,
            base: 500_000.0,
            scaling,
            factors,
            magnitude: 1.0,
        }
    }

    fn row(rope: &Rope, position: usize) -> (Vec<f32>, Vec<f32>) {
        let table = rope.table();
        let (mut cos, mut sin) = (vec![0.0; table.pairs()], vec![0.0; table.pairs()]);
        table.fill(position, &mut cos, &mut sin);
        (cos, sin)
    }

    /// The factors of Llama 3.2 written out: wavelengths above 8192 divided by 32, below 2048 kept, a blend between.
    fn llama3_factors(dims: usize, base: f64) -> Vec<f32> {
        let (factor, low, high, context) = (32.0, 1.0, 4.0, 8192.0);
        (0..dims / 2)
            .map(|pair| {
                let wavelength = TAU * base.powf(2.0 * pair as f64 / dims as f64);
                if wavelength < context / high {
                    1.0
                } else if wavelength > context / low {
                    factor as f32
                } else {
                    let smooth = (context / wavelength - low) / (high - low);
                    (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
                }
            })
            .collect()
    }

    #[test]
    fn factors_divide_the_frequencies_far_beyond_the_first_context() {
        let factors = llama3_factors(64, 500_000.0);
        assert_eq!((factors[0], factors[31]), (1.0, 32.0));
        let rope = rope(RopeScaling::None, Some(factors.clone()));
        for position in [0, 1, 8191, 8193, 20_000, 131_071] {
            let (cos, sin) = row(&rope, position);
            for pair in 0..32 {
                let frequency = 500_000f64.powf(-(pair as f64) / 32.0) / f64::from(factors[pair]);
                let angle = position as f64 * frequency;
                assert!(
                    (f64::from(cos[pair]) - angle.cos()).abs() < 1e-6,
                    "cos {position} {pair}"
                );
                assert!(
                    (f64::from(sin[pair]) - angle.sin()).abs() < 1e-6,
                    "sin {position} {pair}"
                );
            }
        }
    }

    #[test]
    fn linear_scaling_turns_as_far_as_an_earlier_position() {
        let plain = row(&rope(RopeScaling::None, None), 250);
        let scaled = row(&rope(RopeScaling::Linear { factor: 4.0 }, None), 1000);
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&plain.0, &scaled.0) && close(&plain.1, &scaled.1));
    }

    #[test]
    fn yarn_keeps_fast_pairs_and_divides_slow_ones() {
        let yarn = RopeScaling::Yarn {
            factor: 4.0,
            original_context: 32_768.0,
        };
        let (plain, scaled) = (
            rope(RopeScaling::None, None).table(),
            rope(yarn, None).table(),
        );
        assert_eq!(scaled.frequencies[0], plain.frequencies[0]);
        assert!((scaled.frequencies[31] - plain.frequencies[31] / 4.0).abs() < 1e-12);
        assert!((scaled.magnitude - (1.0 + 0.1 * 4f64.ln())).abs() < 1e-12);
        assert!(scaled.frequencies.windows(2).all(|pair| pair[0] > pair[1]));
    }
}

//! One GGUF block taken apart into plain integers, whatever its type.
//!
//! Layouts follow the GGUF block formats: `d` first for the types with blocks of 32, at the end for `Q2_K`, `Q3_K`
//! and `Q6_K`.

use crate::QuantType;
use half::f16;

/// A block of 32 or 256 weights: value `k` is `d * scale * (q[k] - offset) - dmin * min`, where scale and min belong
/// to the run of 16 or 32 values that `k` is in (runs of 16 use all entries, runs of 32 the first eight).
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) d: u16,
    pub(crate) dmin: u16,
    pub(crate) scales: [i8; 16],
    pub(crate) mins: [u8; 16],
    /// Unsigned values; `Q8_0` is stored plus 128.
    pub(crate) q: [u8; 256],
}

impl Block {
    pub(crate) fn new() -> Block {
        Block {
            d: 0,
            dmin: 0,
            scales: [1; 16],
            mins: [0; 16],
            q: [0; 256],
        }
    }

    /// Reads one block of `quant` (not a plain float type) from exactly `quant.block_bytes()` bytes.
    pub(crate) fn read(&mut self, quant: QuantType, bytes: &[u8]) {
        assert_eq!(bytes.len(), quant.block_bytes());
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        match quant {
            QuantType::F32 | QuantType::F16 | QuantType::BF16 => {
                unreachable!("plain floats have no blocks")
            }
            QuantType::Q4_0 => {
                self.d = u16_at(0);
                nibbles(&bytes[2..18], &mut self.q);
            }
            QuantType::Q4_1 => {
                (self.d, self.dmin) = (u16_at(0), u16_at(2));
                nibbles(&bytes[4..20], &mut self.q);
            }
            QuantType::Q5_0 => {
                self.d = u16_at(0);
                nibbles(&bytes[6..22], &mut self.q);
                fifth_bits(&bytes[2..6], &mut self.q);
            }
            QuantType::Q5_1 => {
                (self.d, self.dmin) = (u16_at(0), u16_at(2));
                nibbles(&bytes[8..24], &mut self.q);
                fifth_bits(&bytes[4..8], &mut self.q);
            }
            QuantType::Q8_0 => {
                self.d = u16_at(0);
                for (q, &byte) in self.q.iter_mut().zip(&bytes[2..34]) {
                    *q = byte ^ 0x80;
                }
            }
            QuantType::Q2K => {
                for (j, byte) in bytes[..16].iter().enumerate() {
                    self.scales[j] = (byte & 15) as i8;
                    self.mins[j] = byte >> 4;
                }
                crumbs(&bytes[16..80], &mut self.q);
                (self.d, self.dmin) = (u16_at(80), u16_at(82));
            }
            QuantType::Q3K => {
                crumbs(&bytes[32..96], &mut self.q);
                for k in 0..256 {
                    self.q[k] |= ((bytes[k % 32] >> (k / 32)) & 1) << 2;
                }
                let packed: &[u8; 12] = bytes[96..108].try_into().expect("twelve bytes");
                self.scales = signed_scales(packed);
                self.d = u16_at(108);
            }
            QuantType::Q4K | QuantType::Q5K => {
                (self.d, self.dmin) = (u16_at(0), u16_at(2));
                let packed: &[u8; 12] = bytes[4..16].try_into().expect("twelve bytes");
                self.read_six_bit_scales(packed);
                let low = if quant == QuantType::Q4K { 16 } else { 48 };
                for (pair, chunk) in bytes[low..low + 128].chunks_exact(32).enumerate() {
                    for (i, byte) in chunk.iter().enumerate() {
                        self.q[pair * 64 + i] = byte & 15;
                        self.q[pair * 64 + 32 + i] = byte >> 4;
                    }
                }
                if quant == QuantType::Q5K {
                    for k in 0..256 {
                        self.q[k] |= ((bytes[16 + k % 32] >> (k / 32)) & 1) << 4;
                    }
                }
            }
            QuantType::Q6K => {
                let (low, high) = (&bytes[..128], &bytes[128..192]);
                for k in 0..256 {
                    let (half, l, quarter) = (k / 128, k % 32, k % 128 / 32);
                    let byte = low[half * 64 + (quarter % 2) * 32 + l];
                    let nibble = (byte >> (4 * (quarter / 2))) & 15;
                    let top = (high[half * 32 + l] >> (2 * quarter)) & 3;
                    self.q[k] = nibble | top << 4;
                }
                for j in 0..16 {
                    self.scales[j] = bytes[192 + j] as i8;
                }
                self.d = u16_at(208);
            }
        }
    }

    /// The twelve bytes of eight 6-bit scales and eight 6-bit minimums of `Q4_K` and `Q5_K`.
    pub(crate) fn read_six_bit_scales(&mut self, packed: &[u8; 12]) {
        for j in 0..4 {
            self.scales[j] = (packed[j] & 63) as i8;
            self.mins[j] = packed[4 + j] & 63;
            self.scales[4 + j] = (packed[8 + j] & 15 | packed[j] >> 6 << 4) as i8;
            self.mins[4 + j] = packed[8 + j] >> 4 | packed[4 + j] >> 6 << 4;
        }
    }

    /// Writes the block's values, `out.len()` of them, by the formulas that define the GGUF types.
    pub(crate) fn dequantize(&self, quant: QuantType, out: &mut [f32]) {
        let d = f16::from_bits(self.d).to_f32();
        let dmin = f16::from_bits(self.dmin).to_f32();
        let offset = quant.offset();
        let run = run_len(quant);
        for (k, out) in out.iter_mut().enumerate() {
            let q = (i32::from(self.q[k]) - offset) as f32;
            let j = k / run;
            *out = match quant {
                QuantType::Q4_1 | QuantType::Q5_1 => q * d + dmin,
                QuantType::Q2K | QuantType::Q4K | QuantType::Q5K => {
                    (d * f32::from(self.scales[j])) * q - dmin * f32::from(self.mins[j])
                }
                QuantType::Q3K | QuantType::Q6K => (d * f32::from(self.scales[j])) * q,
                _ => q * d,
            };
        }
    }
}

/// The sixteen 6-bit scales of `Q3_K`, with their offset of 32 taken off.
pub(crate) fn signed_scales(packed: &[u8; 12]) -> [i8; 16] {
    std::array::from_fn(|j| {
        let low = (packed[j % 8] >> (4 * (j / 8))) & 15;
        let high = (packed[8 + j % 4] >> (2 * (j / 4))) & 3;
        (low | high << 4) as i8 - 32
    })
}

/// How many neighbouring values share a scale.
pub(crate) const fn run_len(quant: QuantType) -> usize {
    match quant {
        QuantType::Q2K | QuantType::Q3K | QuantType::Q6K => 16,
        _ => 32,
    }
}

/// 16 bytes: the low halves are values 0..16, the high halves 16..32.
fn nibbles(bytes: &[u8], q: &mut [u8; 256]) {
    for (i, byte) in bytes.iter().enumerate() {
        q[i] = byte & 15;
        q[16 + i] = byte >> 4;
    }
}

/// Bit `k` of four little-endian bytes is bit 4 of value `k`.
fn fifth_bits(bytes: &[u8], q: &mut [u8; 256]) {
    for k in 0..32 {
        q[k] |= ((bytes[k / 8] >> (k % 8)) & 1) << 4;
    }
}

/// 64 bytes of two-bit values: each half of 32 bytes holds four runs of 32.
fn crumbs(bytes: &[u8], q: &mut [u8; 256]) {
    for (k, q) in q.iter_mut().enumerate() {
        *q = (bytes[k / 128 * 32 + k % 32] >> (2 * (k % 128 / 32))) & 3;
    }
}

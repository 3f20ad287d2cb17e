//! How packed weights lie in memory: tiles of `lanes` rows, so that one vector register holds one 32-bit lane per row.
//!
//! A tile holds its rows over all columns, tile after tile. Inside a tile of a block type:
//! - `d`: for every block `lanes` f16 scales; then, where the type has minimums, `dmin` likewise (each part padded
//!   to 64 bytes);
//! - the bodies of the blocks, one after the other. A *group* is four neighbouring columns: one 32-bit lane per row.
//!   A *vector* is `lanes` such lanes. Values wider than four bits are split into planes:
//!
//! | type | body of one block, in vectors (scales first) |
//! |---|---|
//! | `Q4_0`, `Q4_1` | 4 of nibbles: vector `g` holds group `g` low, group `g + 4` high |
//! | `Q5_0`, `Q5_1` | 1 of fifth bits (bit `g` of a byte belongs to group `g`), then 4 of nibbles |
//! | `Q8_0` | 8 of bytes, plus 128 |
//! | `Q4_K` | 3 of scales (GGUF's twelve bytes, four per vector), 32 of nibbles |
//! | `Q5_K` | 3 of scales, 32 of nibbles, 8 of fifth bits |
//! | `Q6_K` | `16 x lanes` scale bytes, 32 of nibbles, 16 of upper bit pairs |
//! | `Q2_K` | `16 x lanes` scale bytes (low) and minimums (high), 16 of bit pairs |
//! | `Q3_K` | `16 x lanes` scale bytes, 16 of bit pairs, 8 of third bits |
//!
//! In the blocks of 256, *chunk* `c` is columns `32 c .. 32 c + 32` and holds groups 0..8. Nibble vector `8 p + g` is
//! group `g` of chunk `2 p` low and of chunk `2 p + 1` high; bit-pair vector `8 h + g` holds chunks `4 h .. 4 h + 4`
//! from low to high; bit vector `g` holds chunks 0..8 from low to high.
//!
//! Plain floats: for every column `lanes` values.

use crate::QuantType;
use crate::block::Block;
use half::{bf16, f16};

/// Offsets within a packed tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) quant: QuantType,
    pub(crate) lanes: usize,
    pub(crate) cols: usize,
    /// Blocks (or columns of plain floats) per row.
    pub(crate) blocks: usize,
    /// Where `dmin` begins in a tile (equal to `body` without minimums).
    pub(crate) mins: usize,
    /// Where the first block's body begins in a tile.
    pub(crate) body: usize,
    /// Bytes of one block's body for all lanes.
    pub(crate) body_bytes: usize,
    pub(crate) tile_bytes: usize,
}

impl Layout {
    pub(crate) fn new(quant: QuantType, lanes: usize, cols: usize) -> Layout {
        let blocks = cols / quant.block_len();
        let per_lane = match quant {
            QuantType::F32 => 4,
            QuantType::F16 | QuantType::BF16 => 2,
            QuantType::Q4_0 | QuantType::Q4_1 => 16,
            QuantType::Q5_0 | QuantType::Q5_1 => 20,
            QuantType::Q8_0 => 32,
            QuantType::Q2K => 80,
            QuantType::Q3K => 112,
            QuantType::Q4K => 140,
            QuantType::Q5K => 172,
            QuantType::Q6K => 208,
        };
        let heads = if quant.block_len() == 1 {
            0
        } else {
            (blocks * lanes * 2).next_multiple_of(64)
        };
        let body = if quant.has_min() { 2 * heads } else { heads };
        let body_bytes = per_lane * lanes;
        Layout {
            quant,
            lanes,
            cols,
            blocks,
            mins: heads,
            body,
            body_bytes,
            tile_bytes: (body + blocks * body_bytes).next_multiple_of(64),
        }
    }

    /// Packs row `lane` of a tile from its GGUF bytes.
    pub(crate) fn pack_row(&self, row: &[u8], lane: usize, tile: &mut [u8]) {
        let lanes = self.lanes;
        if self.quant.block_len() == 1 {
            let size = self.quant.block_bytes();
            for (k, value) in row.chunks_exact(size).enumerate() {
                let at = (k * lanes + lane) * size;
                tile[at..at + size].copy_from_slice(value);
            }
            return;
        }
        let mut block = Block::new();
        for (b, bytes) in row.chunks_exact(self.quant.block_bytes()).enumerate() {
            block.read(self.quant, bytes);
            let at = (b * lanes + lane) * 2;
            tile[at..at + 2].copy_from_slice(&block.d.to_le_bytes());
            if self.quant.has_min() {
                let at = self.mins + at;
                tile[at..at + 2].copy_from_slice(&block.dmin.to_le_bytes());
            }
            let at = self.body + b * self.body_bytes;
            self.write_body(&block, bytes, lane, &mut tile[at..at + self.body_bytes]);
        }
    }

    fn write_body(&self, block: &Block, bytes: &[u8], lane: usize, body: &mut [u8]) {
        let (lanes, vector) = (self.lanes, self.lanes * 4);
        let q = &block.q;
        match self.quant {
            QuantType::F32 | QuantType::F16 | QuantType::BF16 => {
                unreachable!("plain floats have no blocks")
            }
            QuantType::Q4_0 | QuantType::Q4_1 => simple_nibbles(q, lane, vector, body),
            QuantType::Q5_0 | QuantType::Q5_1 => {
                for (k, q) in q[..32].iter().enumerate() {
                    body[lane * 4 + k % 4] |= (q >> 4) << (k / 4);
                }
                simple_nibbles(q, lane, vector, &mut body[vector..]);
            }
            QuantType::Q8_0 => {
                for (group, q) in q[..32].chunks_exact(4).enumerate() {
                    let at = group * vector + lane * 4;
                    body[at..at + 4].copy_from_slice(q);
                }
            }
            QuantType::Q4K | QuantType::Q5K => {
                for (part, four) in bytes[4..16].chunks_exact(4).enumerate() {
                    let at = part * vector + lane * 4;
                    body[at..at + 4].copy_from_slice(four);
                }
                let planes = &mut body[3 * vector..];
                nibbles(q, lane, vector, planes);
                if self.quant == QuantType::Q5K {
                    bits(q, 4, lane, vector, &mut planes[32 * vector..]);
                }
            }
            QuantType::Q6K | QuantType::Q3K | QuantType::Q2K => {
                for j in 0..16 {
                    body[j * lanes + lane] = block.scales[j] as u8 | block.mins[j] << 4;
                }
                let planes = &mut body[16 * lanes..];
                match self.quant {
                    QuantType::Q6K => {
                        nibbles(q, lane, vector, planes);
                        pairs(q, 4, lane, vector, &mut planes[32 * vector..]);
                    }
                    QuantType::Q3K => {
                        pairs(q, 0, lane, vector, planes);
                        bits(q, 2, lane, vector, &mut planes[16 * vector..]);
                    }
                    _ => pairs(q, 0, lane, vector, planes),
                }
            }
        }
    }

    /// Takes block `b` of row `lane` out of a tile: the inverse of packing.
    pub(crate) fn read_block(&self, tile: &[u8], b: usize, lane: usize, block: &mut Block) {
        let (lanes, vector) = (self.lanes, self.lanes * 4);
        let u16_at = |at: usize| u16::from_le_bytes([tile[at], tile[at + 1]]);
        block.d = u16_at((b * lanes + lane) * 2);
        if self.quant.has_min() {
            block.dmin = u16_at(self.mins + (b * lanes + lane) * 2);
        }
        let at = self.body + b * self.body_bytes;
        let body = &tile[at..at + self.body_bytes];
        let q = &mut block.q;
        let simple = |plane: &[u8], k: usize| {
            let group = k / 4;
            (plane[group % 4 * vector + lane * 4 + k % 4] >> (group / 4 * 4)) & 15
        };
        let nibble = |plane: &[u8], k: usize| {
            let (chunk, group) = (k / 32, k % 32 / 4);
            let byte = plane[(chunk / 2 * 8 + group) * vector + lane * 4 + k % 4];
            (byte >> (chunk % 2 * 4)) & 15
        };
        let pair = |plane: &[u8], k: usize| {
            let (chunk, group) = (k / 32, k % 32 / 4);
            let byte = plane[(chunk / 4 * 8 + group) * vector + lane * 4 + k % 4];
            (byte >> (chunk % 4 * 2)) & 3
        };
        let bit = |plane: &[u8], k: usize| {
            let (chunk, group) = (k / 32, k % 32 / 4);
            (plane[group * vector + lane * 4 + k % 4] >> chunk) & 1
        };
        match self.quant {
            QuantType::F32 | QuantType::F16 | QuantType::BF16 => {
                unreachable!("plain floats have no blocks")
            }
            QuantType::Q4_0 | QuantType::Q4_1 => {
                for (k, q) in q[..32].iter_mut().enumerate() {
                    *q = simple(body, k);
                }
            }
            QuantType::Q5_0 | QuantType::Q5_1 => {
                for (k, q) in q[..32].iter_mut().enumerate() {
                    let fifth = (body[lane * 4 + k % 4] >> (k / 4)) & 1;
                    *q = simple(&body[vector..], k) | fifth << 4;
                }
            }
            QuantType::Q8_0 => {
                for (k, q) in q[..32].iter_mut().enumerate() {
                    *q = body[k / 4 * vector + lane * 4 + k % 4];
                }
            }
            QuantType::Q4K | QuantType::Q5K => {
                for (k, q) in q.iter_mut().enumerate() {
                    *q = nibble(&body[3 * vector..], k);
                }
                if self.quant == QuantType::Q5K {
                    for (k, q) in q.iter_mut().enumerate() {
                        *q |= bit(&body[35 * vector..], k) << 4;
                    }
                }
                let mut packed = [0; 12];
                for (part, four) in packed.chunks_exact_mut(4).enumerate() {
                    let at = part * vector + lane * 4;
                    four.copy_from_slice(&body[at..at + 4]);
                }
                block.read_six_bit_scales(&packed);
            }
            QuantType::Q2K | QuantType::Q3K | QuantType::Q6K => {
                let planes = &body[16 * lanes..];
                for (k, q) in q.iter_mut().enumerate() {
                    *q = match self.quant {
                        QuantType::Q6K => nibble(planes, k) | pair(&planes[32 * vector..], k) << 4,
                        QuantType::Q3K => pair(planes, k) | bit(&planes[16 * vector..], k) << 2,
                        _ => pair(planes, k),
                    };
                }
                for j in 0..16 {
                    let byte = body[j * lanes + lane];
                    if self.quant == QuantType::Q2K {
                        (block.scales[j], block.mins[j]) = ((byte & 15) as i8, byte >> 4);
                    } else {
                        block.scales[j] = byte as i8;
                    }
                }
            }
        }
    }

    /// Row `lane` of a tile as f32.
    pub(crate) fn dequantize_row(&self, tile: &[u8], lane: usize, out: &mut [f32]) {
        let lanes = self.lanes;
        let pair = |k: usize| {
            let at = (k * lanes + lane) * 2;
            u16::from_le_bytes([tile[at], tile[at + 1]])
        };
        match self.quant {
            QuantType::F32 => {
                for (k, out) in out.iter_mut().enumerate() {
                    let at = (k * lanes + lane) * 4;
                    let bytes = tile[at..at + 4].try_into().expect("four bytes");
                    *out = f32::from_le_bytes(bytes);
                }
            }
            QuantType::F16 => {
                for (k, out) in out.iter_mut().enumerate() {
                    *out = f16::from_bits(pair(k)).to_f32();
                }
            }
            QuantType::BF16 => {
                for (k, out) in out.iter_mut().enumerate() {
                    *out = bf16::from_bits(pair(k)).to_f32();
                }
            }
            _ => {
                let mut block = Block::new();
                for (b, out) in out.chunks_exact_mut(self.quant.block_len()).enumerate() {
                    self.read_block(tile, b, lane, &mut block);
                    block.dequantize(self.quant, out);
                }
            }
        }
    }
}

fn simple_nibbles(q: &[u8; 256], lane: usize, vector: usize, plane: &mut [u8]) {
    for k in 0..16 {
        plane[k / 4 * vector + lane * 4 + k % 4] = q[k] & 15 | q[k + 16] << 4;
    }
}

/// The low four bits of 256 values.
fn nibbles(q: &[u8; 256], lane: usize, vector: usize, plane: &mut [u8]) {
    for (pair, q) in q.chunks_exact(64).enumerate() {
        for group in 0..8 {
            let at = (pair * 8 + group) * vector + lane * 4;
            for (i, byte) in plane[at..at + 4].iter_mut().enumerate() {
                let k = group * 4 + i;
                *byte = (q[k] & 15) | q[32 + k] << 4;
            }
        }
    }
}

/// Bits `shift` and `shift + 1` of 256 values.
fn pairs(q: &[u8; 256], shift: u32, lane: usize, vector: usize, plane: &mut [u8]) {
    for (half, q) in q.chunks_exact(128).enumerate() {
        for group in 0..8 {
            let at = (half * 8 + group) * vector + lane * 4;
            for (i, byte) in plane[at..at + 4].iter_mut().enumerate() {
                let k = group * 4 + i;
                let of = |chunk: usize| (q[chunk * 32 + k] >> shift) & 3;
                *byte = of(0) | of(1) << 2 | of(2) << 4 | of(3) << 6;
            }
        }
    }
}

/// Bit `shift` of 256 values.
fn bits(q: &[u8; 256], shift: u32, lane: usize, vector: usize, plane: &mut [u8]) {
    for group in 0..8 {
        let at = group * vector + lane * 4;
        for (i, byte) in plane[at..at + 4].iter_mut().enumerate() {
            let k = group * 4 + i;
            *byte = (0..8).fold(0, |byte, chunk| {
                byte | ((q[chunk * 32 + k] >> shift) & 1) << chunk
            });
        }
    }
}

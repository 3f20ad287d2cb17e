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
use crate::block::{Block, signed_scales};
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
        let (quant, lanes) = (self.quant, self.lanes);
        if quant.block_len() == 1 {
            let size = quant.block_bytes();
            for (k, value) in row.chunks_exact(size).enumerate() {
                let at = (k * lanes + lane) * size;
                tile[at..at + size].copy_from_slice(value);
            }
            return;
        }
        let (d, dmin) = heads(quant);
        for (b, block) in row.chunks_exact(quant.block_bytes()).enumerate() {
            let at = (b * lanes + lane) * 2;
            tile[at..at + 2].copy_from_slice(&block[d..d + 2]);
            if let Some(dmin) = dmin {
                let at = self.mins + at;
                tile[at..at + 2].copy_from_slice(&block[dmin..dmin + 2]);
            }
            let at = self.body + b * self.body_bytes;
            self.pack_body(block, lane, &mut tile[at..at + self.body_bytes]);
        }
    }

    fn pack_body(&self, block: &[u8], lane: usize, body: &mut [u8]) {
        let (lanes, quant) = (self.lanes, self.quant);
        let words = body.as_chunks_mut::<4>().0;
        let mut put = |vector: usize, word: u32| words[vector * lanes + lane] = word.to_le_bytes();
        for &Copy {
            from,
            vector,
            count,
        } in copies(quant)
        {
            for i in 0..count {
                put(vector + i, word(block, from + 4 * i));
            }
        }
        match quant {
            QuantType::Q5_0 => put(0, bits_to_bytes(word(block, 2))),
            QuantType::Q5_1 => put(0, bits_to_bytes(word(block, 4))),
            QuantType::Q8_0 => {
                for group in 0..8 {
                    put(group, word(block, 2 + 4 * group) ^ 0x8080_8080);
                }
            }
            QuantType::Q6K => {
                for (half, group) in (0..2).flat_map(|half| (0..8).map(move |g| (half, g))) {
                    let low = word(block, half * 64 + group * 4);
                    let high = word(block, half * 64 + 32 + group * 4);
                    let (first, second) = swap_nibbles(low, high);
                    put(4 + half * 16 + group, first);
                    put(4 + half * 16 + 8 + group, second);
                }
            }
            _ => {}
        }
        match quant {
            QuantType::Q2K => put_bytes(&block[..16], lanes, lane, body),
            QuantType::Q3K => {
                let packed: &[u8; 12] = block[96..108].try_into().expect("twelve bytes");
                put_bytes(&signed_scales(packed).map(|s| s as u8), lanes, lane, body);
            }
            QuantType::Q6K => put_bytes(&block[192..208], lanes, lane, body),
            _ => {}
        }
    }

    /// Takes block `b` of row `lane` out of a tile: the inverse of packing.
    pub(crate) fn read_block(&self, tile: &[u8], b: usize, lane: usize, out: &mut Block) {
        let (quant, lanes) = (self.quant, self.lanes);
        let mut bytes = [0; 256];
        let block = &mut bytes[..quant.block_bytes()];
        let (d, dmin) = heads(quant);
        let at = (b * lanes + lane) * 2;
        block[d..d + 2].copy_from_slice(&tile[at..at + 2]);
        if let Some(dmin) = dmin {
            let at = self.mins + at;
            block[dmin..dmin + 2].copy_from_slice(&tile[at..at + 2]);
        }
        let at = self.body + b * self.body_bytes;
        let body = &tile[at..at + self.body_bytes];
        let words = body.as_chunks::<4>().0;
        let get = |vector: usize| u32::from_le_bytes(words[vector * lanes + lane]);
        let mut put = |at: usize, word: u32| block[at..at + 4].copy_from_slice(&word.to_le_bytes());
        for &Copy {
            from,
            vector,
            count,
        } in copies(quant)
        {
            for i in 0..count {
                put(from + 4 * i, get(vector + i));
            }
        }
        match quant {
            QuantType::Q5_0 => put(2, bytes_to_bits(get(0))),
            QuantType::Q5_1 => put(4, bytes_to_bits(get(0))),
            QuantType::Q8_0 => {
                for group in 0..8 {
                    put(2 + 4 * group, get(group) ^ 0x8080_8080);
                }
            }
            QuantType::Q6K => {
                for (half, group) in (0..2).flat_map(|half| (0..8).map(move |g| (half, g))) {
                    let first = get(4 + half * 16 + group);
                    let (low, high) = swap_nibbles(first, get(4 + half * 16 + 8 + group));
                    put(half * 64 + group * 4, low);
                    put(half * 64 + 32 + group * 4, high);
                }
            }
            _ => {}
        }
        let byte = |j: usize| body[j * lanes + lane];
        match quant {
            QuantType::Q2K => (0..16).for_each(|j| block[j] = byte(j)),
            QuantType::Q6K => (0..16).for_each(|j| block[192 + j] = byte(j)),
            _ => {}
        }
        out.read(quant, block);
        if quant == QuantType::Q3K {
            // Their packed form was not kept.
            out.scales = std::array::from_fn(|j| byte(j) as i8);
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

/// Words of a GGUF block that are words of the packed body too: the formats interleave values just as the planes do.
struct Copy {
    from: usize,
    vector: usize,
    count: usize,
}

const fn copies(quant: QuantType) -> &'static [Copy] {
    const fn copy(from: usize, vector: usize, count: usize) -> Copy {
        Copy {
            from,
            vector,
            count,
        }
    }
    match quant {
        QuantType::Q4_0 => const { &[copy(2, 0, 4)] },
        QuantType::Q4_1 => const { &[copy(4, 0, 4)] },
        QuantType::Q5_0 => const { &[copy(6, 1, 4)] },
        QuantType::Q5_1 => const { &[copy(8, 1, 4)] },
        QuantType::Q2K => const { &[copy(16, 4, 16)] },
        QuantType::Q3K => const { &[copy(32, 4, 16), copy(0, 20, 8)] },
        QuantType::Q4K => const { &[copy(4, 0, 3), copy(16, 3, 32)] },
        QuantType::Q5K => const { &[copy(4, 0, 3), copy(48, 3, 32), copy(16, 35, 8)] },
        QuantType::Q6K => const { &[copy(128, 36, 16)] },
        _ => &[],
    }
}

/// Where a GGUF block holds `d` and `dmin`.
const fn heads(quant: QuantType) -> (usize, Option<usize>) {
    match quant {
        QuantType::Q4_1 | QuantType::Q5_1 | QuantType::Q4K | QuantType::Q5K => (0, Some(2)),
        QuantType::Q2K => (80, Some(82)),
        QuantType::Q3K => (108, None),
        QuantType::Q6K => (208, None),
        _ => (0, None),
    }
}

fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(block[at..at + 4].try_into().expect("four bytes"))
}

/// One byte for each of 16 runs, a row's bytes `lanes` apart.
fn put_bytes(bytes: &[u8], lanes: usize, lane: usize, body: &mut [u8]) {
    for (j, byte) in bytes.iter().enumerate() {
        body[j * lanes + lane] = *byte;
    }
}

/// Nibbles of two words: the low ones of both, and the high ones of both. Its own inverse.
const fn swap_nibbles(first: u32, second: u32) -> (u32, u32) {
    const LOW: u32 = 0x0F0F_0F0F;
    (
        (first & LOW) | (second & LOW) << 4,
        (first >> 4 & LOW) | (second & !LOW),
    )
}

/// Bit `4 g + i` becomes bit `g` of byte `i`.
fn bits_to_bytes(bits: u32) -> u32 {
    (0..32).fold(0, |bytes, k| bytes | (bits >> k & 1) << (k % 4 * 8 + k / 4))
}

/// The inverse of `bits_to_bytes`.
fn bytes_to_bits(bytes: u32) -> u32 {
    (0..32).fold(0, |bits, k| bits | (bytes >> (k % 4 * 8 + k / 4) & 1) << k)
}

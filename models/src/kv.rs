//! The paged key-value cache of a native decoder.

use half::f16;
use half::vec::HalfBitsVecExt;
use wick_kernels::{BLOCK_TOKENS, prefer_huge_pages};

/// Keys and values of all layers, f16, `[block][kv_head][BLOCK_TOKENS][head_dim]` in each arena.
#[derive(Default)]
pub(crate) struct KvCache {
    layers: Vec<LayerCache>,
    blocks: usize,
    block_len: usize,
}

/// One layer's share.
pub(crate) struct LayerCache {
    pub(crate) keys: Vec<f16>,
    pub(crate) values: Vec<f16>,
}

impl KvCache {
    /// A cache of `blocks` blocks for `layers` layers, `token_len` values of K (and as many of V) per token and layer;
    /// None where memory for it cannot be had. Pages are zero and untouched, so that memory is taken as blocks fill.
    pub(crate) fn new(layers: usize, blocks: usize, token_len: usize) -> Option<KvCache> {
        let block_len = token_len.checked_mul(BLOCK_TOKENS)?;
        let arena = blocks.checked_mul(block_len)?;
        let all = arena.checked_mul(layers)?.checked_mul(2)?;
        // `vec!` aborts where the allocator refuses; asking for the whole first makes that an error.
        Vec::<f16>::new().try_reserve_exact(all).ok()?;
        let layers = (0..layers)
            .map(|_| LayerCache {
                keys: zeros(arena),
                values: zeros(arena),
            })
            .collect();
        Some(KvCache {
            layers,
            blocks,
            block_len,
        })
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    pub(crate) fn layer(&mut self, layer: usize) -> &mut LayerCache {
        &mut self.layers[layer]
    }

    /// Copies block `from` over block `to` in every layer; out of range does nothing.
    pub(crate) fn copy_block(&mut self, from: usize, to: usize) {
        if from >= self.blocks || to >= self.blocks {
            return;
        }
        let source = from * self.block_len..(from + 1) * self.block_len;
        for layer in &mut self.layers {
            layer.keys.copy_within(source.clone(), to * self.block_len);
            layer
                .values
                .copy_within(source.clone(), to * self.block_len);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.layers.len() * 2 * self.blocks * self.block_len * size_of::<f16>()
    }
}

/// Zeros the system hands out on first touch: only for integers does `vec!` ask the allocator for zeroed memory.
fn zeros(len: usize) -> Vec<f16> {
    let mut arena = vec![0u16; len];
    prefer_huge_pages(&mut arena);
    arena.reinterpret_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_copied_in_every_layer() {
        let mut cache = KvCache::new(2, 3, 4).unwrap();
        let len = 4 * BLOCK_TOKENS;
        for layer in 0..2 {
            let arena = cache.layer(layer);
            arena.keys[len..2 * len].fill(f16::ONE);
            arena.values[len..2 * len].fill(f16::NEG_ONE);
        }
        cache.copy_block(1, 2);
        cache.copy_block(1, 3);
        for layer in 0..2 {
            let arena = cache.layer(layer);
            assert!(arena.keys[2 * len..].iter().all(|&key| key == f16::ONE));
            assert!(
                arena.values[2 * len..]
                    .iter()
                    .all(|&value| value == f16::NEG_ONE)
            );
            assert!(arena.keys[..len].iter().all(|&key| key == f16::ZERO));
        }
    }

    #[test]
    fn sizes_beyond_memory_are_refused() {
        assert!(KvCache::new(32, usize::MAX / 2, 1024).is_none());
        assert!(KvCache::new(32, 1 << 40, 1 << 10).is_none());
    }
}

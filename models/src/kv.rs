//! The paged key-value cache of a native decoder.

use wick_kernels::{BLOCK_TOKENS, KvArenas, KvType};

/// Keys and values of all layers.
#[derive(Default)]
pub(crate) struct KvCache {
    layers: Vec<KvArenas>,
    blocks: usize,
}

/// What one layer of a cache holds per token.
#[derive(Clone, Copy)]
pub(crate) struct KvShape {
    pub(crate) kv_type: KvType,
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl KvShape {
    /// Bytes of a token's keys and values in one layer.
    pub(crate) fn token_bytes(self) -> usize {
        self.kv_type.token_bytes(self.kv_heads, self.head_dim)
    }
}

impl KvCache {
    /// A cache of `blocks` blocks for `layers` layers; None where memory for it cannot be had. Pages are zero and
    /// untouched, so that memory is taken as blocks fill.
    pub(crate) fn new(layers: usize, blocks: usize, shape: KvShape) -> Option<KvCache> {
        let block_bytes = shape.token_bytes().checked_mul(BLOCK_TOKENS)?;
        let all = block_bytes.checked_mul(blocks)?.checked_mul(layers)?;
        // The arenas abort where the allocator refuses; asking for the whole first makes that an error.
        Vec::<u8>::new().try_reserve_exact(all).ok()?;
        let KvShape {
            kv_type,
            kv_heads,
            head_dim,
        } = shape;
        let layers = (0..layers).map(|_| KvArenas::new(kv_type, blocks, kv_heads, head_dim));
        Some(KvCache {
            layers: layers.collect(),
            blocks,
        })
    }

    pub(crate) fn blocks(&self) -> usize {
        self.blocks
    }

    pub(crate) fn layer(&mut self, layer: usize) -> &mut KvArenas {
        &mut self.layers[layer]
    }

    /// Copies block `from` over block `to` in every layer; out of range does nothing.
    pub(crate) fn copy_block(&mut self, from: usize, to: usize) {
        if from >= self.blocks || to >= self.blocks {
            return;
        }
        for layer in &mut self.layers {
            layer.copy_block(from, to);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.layers.iter().map(KvArenas::bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_beyond_memory_are_refused() {
        for kv_type in [KvType::F16, KvType::Q8_0] {
            let shape = |kv_heads| KvShape {
                kv_type,
                kv_heads,
                head_dim: 64,
            };
            assert!(KvCache::new(32, usize::MAX / 2, shape(16)).is_none());
            assert!(KvCache::new(32, 1 << 40, shape(16)).is_none());
            assert!(KvCache::new(2, 2, shape(usize::MAX / 2)).is_none());
        }
    }

    #[test]
    fn a_cache_takes_what_its_tokens_take() {
        for kv_type in [KvType::F16, KvType::Q8_0] {
            let shape = KvShape {
                kv_type,
                kv_heads: 3,
                head_dim: 20,
            };
            let cache = KvCache::new(4, 5, shape).unwrap();
            assert_eq!(cache.bytes(), 4 * 5 * BLOCK_TOKENS * shape.token_bytes());
        }
    }
}

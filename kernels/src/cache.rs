//! The key-value cache of one layer: blocks of 32 tokens, as f16 or as int8 with a scale per token and head.

use crate::attention::{AttendJob, AttendState};
use crate::{Table, prefer_huge_pages};
use half::f16;
use half::vec::HalfBitsVecExt;
use std::str::FromStr;

/// Tokens per block of the cache.
pub const BLOCK_TOKENS: usize = 32;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KvType {
    /// Half precision.
    #[default]
    F16,
    /// Int8 with an f32 scale per token and head, for keys and for values: the largest of a head becomes 127.
    Q8_0,
}

impl KvType {
    /// Bytes that the keys and values of one token take in one layer.
    pub fn token_bytes(self, kv_heads: usize, head_dim: usize) -> usize {
        let head_bytes = match self {
            KvType::F16 => head_dim.saturating_mul(size_of::<f16>()),
            KvType::Q8_0 => head_dim.saturating_add(size_of::<f32>()),
        };
        head_bytes.saturating_mul(kv_heads).saturating_mul(2)
    }

    /// The name Ollama and llama.cpp give it.
    pub fn name(self) -> &'static str {
        match self {
            KvType::F16 => "f16",
            KvType::Q8_0 => "q8_0",
        }
    }
}

/// A name that no [`KvType`] has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no cache type {0:?}: there are f16 and q8_0")]
pub struct UnknownKvType(String);

impl FromStr for KvType {
    type Err = UnknownKvType;

    /// By name, in any case.
    fn from_str(text: &str) -> Result<KvType, UnknownKvType> {
        let types = [KvType::F16, KvType::Q8_0];
        let named = |kv_type: &KvType| kv_type.name().eq_ignore_ascii_case(text);
        types
            .into_iter()
            .find(named)
            .ok_or_else(|| UnknownKvType(text.to_owned()))
    }
}

/// Keys and values of one layer in blocks of [`BLOCK_TOKENS`] tokens.
///
/// For each block and head, values lie as `[BLOCK_TOKENS][head_dim]`, keys transposed as `[head_dim][BLOCK_TOKENS]`.
/// [`Kernels::store_kv`](crate::Kernels::store_kv) writes them.
pub struct KvArenas {
    shape: Shape,
    data: Data,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) kv_heads: usize,
    pub(crate) head_dim: usize,
}

impl Shape {
    /// Values of one head in a block, keys likewise.
    pub(crate) fn head_len(self) -> usize {
        BLOCK_TOKENS * self.head_dim
    }
}

pub(crate) enum Data {
    F16(Arenas<f16>),
    Q8(Arenas<i8>),
}

/// The arenas of one element type; scales are `[block][kv_head][BLOCK_TOKENS]`, empty for types without.
#[derive(Default)]
pub(crate) struct Arenas<T> {
    pub(crate) keys: Vec<T>,
    pub(crate) values: Vec<T>,
    pub(crate) key_scales: Vec<f32>,
    pub(crate) value_scales: Vec<f32>,
}

impl KvArenas {
    /// Arenas of `blocks` blocks, all zero. Pages are untouched, so that memory is taken as blocks fill. Panics where
    /// `kv_heads` or `head_dim` is zero; aborts where there is no memory.
    pub fn new(kv_type: KvType, blocks: usize, kv_heads: usize, head_dim: usize) -> KvArenas {
        assert!(kv_heads > 0 && head_dim > 0, "heads are not empty");
        let shape = Shape { kv_heads, head_dim };
        let data = match kv_type {
            KvType::F16 => Data::F16(Arenas::new(blocks, shape)),
            KvType::Q8_0 => Data::Q8(Arenas::new(blocks, shape)),
        };
        KvArenas { shape, data }
    }

    /// How many blocks there are.
    pub fn blocks(&self) -> usize {
        let values = match &self.data {
            Data::F16(arenas) => arenas.values.len(),
            Data::Q8(arenas) => arenas.values.len(),
        };
        values / (self.shape.kv_heads * self.shape.head_len())
    }

    /// Copies block `from` over block `to`. Panics where there is no such block.
    pub fn copy_block(&mut self, from: usize, to: usize) {
        match &mut self.data {
            Data::F16(arenas) => arenas.copy_block(self.shape, from, to),
            Data::Q8(arenas) => arenas.copy_block(self.shape, from, to),
        }
    }

    /// Bytes of all blocks.
    pub fn bytes(&self) -> usize {
        match &self.data {
            Data::F16(arenas) => arenas.bytes(),
            Data::Q8(arenas) => arenas.bytes(),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    pub(crate) fn data_mut(&mut self) -> &mut Data {
        &mut self.data
    }
}

impl<T: Stored> Arenas<T> {
    fn new(blocks: usize, shape: Shape) -> Arenas<T> {
        let heads = blocks * shape.kv_heads;
        let arena = || {
            let mut arena = T::zeros(heads * shape.head_len());
            prefer_huge_pages(&mut arena);
            arena
        };
        let scales = || match T::SCALED {
            true => vec![0.0; heads * BLOCK_TOKENS],
            false => Vec::new(),
        };
        Arenas {
            keys: arena(),
            values: arena(),
            key_scales: scales(),
            value_scales: scales(),
        }
    }

    fn copy_block(&mut self, shape: Shape, from: usize, to: usize) {
        fn copy<T: Copy>(arena: &mut [T], len: usize, from: usize, to: usize) {
            arena.copy_within(from * len..(from + 1) * len, to * len);
        }
        let len = shape.kv_heads * shape.head_len();
        copy(&mut self.keys, len, from, to);
        copy(&mut self.values, len, from, to);
        if T::SCALED {
            let len = shape.kv_heads * BLOCK_TOKENS;
            copy(&mut self.key_scales, len, from, to);
            copy(&mut self.value_scales, len, from, to);
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.keys)
            + size_of_val(&*self.values)
            + size_of_val(&*self.key_scales)
            + size_of_val(&*self.value_scales)
    }
}

/// An element type of the cache.
pub(crate) trait Stored: Copy + Send + Sync + 'static {
    /// Whether stored values are multiplied by a scale per token and head.
    const SCALED: bool;

    /// Zeros that the system hands out on first touch.
    fn zeros(len: usize) -> Vec<Self>;

    /// One head of one token: `from` goes to every `stride`-th element of `to`. Gives its scale, one without.
    fn write(table: &Table, from: &[f32], to: &mut [Self], stride: usize) -> f32;

    /// The table's attention over this type.
    fn attend(table: &Table) -> fn(AttendJob<'_, Self>, AttendState<'_>);

    /// As a number, without its scale.
    fn to_f32(self) -> f32;
}

impl Stored for f16 {
    const SCALED: bool = false;

    fn zeros(len: usize) -> Vec<f16> {
        // Only for integers does `vec!` ask the allocator for zeroed memory.
        vec![0u16; len].reinterpret_into()
    }

    fn write(table: &Table, from: &[f32], to: &mut [f16], stride: usize) -> f32 {
        if stride == 1 {
            (table.to_f16)(from, to);
            return 1.0;
        }
        let mut converted = [f16::ZERO; 512];
        for (i, from) in from.chunks(converted.len()).enumerate() {
            let to = to[i * converted.len() * stride..].iter_mut();
            let converted = &mut converted[..from.len()];
            (table.to_f16)(from, converted);
            for (to, from) in to.step_by(stride).zip(converted) {
                *to = *from;
            }
        }
        1.0
    }

    fn attend(table: &Table) -> fn(AttendJob<'_, f16>, AttendState<'_>) {
        table.attend
    }

    fn to_f32(self) -> f32 {
        f16::to_f32(self)
    }
}

impl Stored for i8 {
    const SCALED: bool = true;

    fn zeros(len: usize) -> Vec<i8> {
        vec![0; len]
    }

    fn write(table: &Table, from: &[f32], to: &mut [i8], stride: usize) -> f32 {
        (table.to_q8)(from, to, stride)
    }

    fn attend(table: &Table) -> fn(AttendJob<'_, i8>, AttendState<'_>) {
        table.attend_q8
    }

    fn to_f32(self) -> f32 {
        f32::from(self)
    }
}

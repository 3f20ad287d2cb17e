//! The weights of one transformer block.

use crate::Error;
use crate::spec::DecoderSpec;
use crate::weights::{Linear, Loader};

pub(super) struct Layer {
    pub(super) attention_norm: Vec<f32>,
    pub(super) q: Linear,
    pub(super) k: Linear,
    pub(super) v: Linear,
    /// Norms over each head of Q and K.
    pub(super) qk_norm: Option<[Vec<f32>; 2]>,
    pub(super) output: Linear,
    pub(super) post_attention_norm: Option<Vec<f32>>,
    pub(super) feed_forward_norm: Vec<f32>,
    pub(super) gate: Linear,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) post_feed_forward_norm: Option<Vec<f32>>,
    /// Tokens a row sees, where the layer has a window.
    pub(super) window: Option<usize>,
}

impl Layer {
    pub(super) fn load(
        loader: &Loader<'_>,
        spec: &DecoderSpec,
        index: usize,
    ) -> Result<Layer, Error> {
        let name = |part: &str| format!("blk.{index}.{part}");
        let width = spec.embedding_length;
        let (q_len, kv_len) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        let linear = |part: &str, rows, cols| loader.linear(&name(part), rows, cols);
        let norm = |part: &str, len| loader.vector(&name(part), len);
        let post_norm = |part: &str| spec.post_norms.then(|| norm(part, width)).transpose();
        let wide = spec.feed_forward_length;
        let [q, k, v] = match spec.fused {
            true => loader.split_linear(&name("attn_qkv"), [q_len, kv_len, kv_len], width)?,
            false => [
                linear("attn_q", q_len, width)?,
                linear("attn_k", kv_len, width)?,
                linear("attn_v", kv_len, width)?,
            ],
        };
        let [gate, up] = match spec.fused {
            true => loader.split_linear(&name("ffn_up"), [wide, wide], width)?,
            false => [
                linear("ffn_gate", wide, width)?,
                linear("ffn_up", wide, width)?,
            ],
        };
        let layer = Layer {
            attention_norm: norm("attn_norm.weight", width)?,
            q,
            k,
            v,
            qk_norm: match spec.qk_norm {
                true => Some([
                    norm("attn_q_norm.weight", spec.head_dim)?,
                    norm("attn_k_norm.weight", spec.head_dim)?,
                ]),
                false => None,
            },
            output: linear("attn_output", width, q_len)?,
            post_attention_norm: post_norm("post_attention_norm.weight")?,
            feed_forward_norm: norm("ffn_norm.weight", width)?,
            gate,
            up,
            down: linear("ffn_down", width, wide)?,
            post_feed_forward_norm: post_norm("post_ffw_norm.weight")?,
            window: spec
                .window
                .as_ref()
                .filter(|window| window.covers(index))
                .map(|window| window.tokens),
        };
        if spec.qkv_bias {
            for (linear, part, rows) in [
                (&layer.q, "attn_q", q_len),
                (&layer.k, "attn_k", kv_len),
                (&layer.v, "attn_v", kv_len),
            ] {
                if linear.bias.is_none() {
                    // Reads it again for the error that names it.
                    loader.vector(&name(&format!("{part}.bias")), rows)?;
                }
            }
        }
        Ok(layer)
    }

    pub(super) fn bytes(&self) -> usize {
        let linears = [
            &self.q,
            &self.k,
            &self.v,
            &self.output,
            &self.gate,
            &self.up,
            &self.down,
        ];
        linears.iter().map(|linear| linear.bytes()).sum()
    }
}

"""The starter model: a small Llama in JAX, trained in float32 or bfloat16.

Weights are a flat dictionary; matrices of equal shape are stacked over layers, so that one optimiser step
handles all of them at once. `w @ x` uses shape `(layers, inputs, outputs)`.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of the network; everything else follows from them."""

    vocabulary: int
    width: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 4
    ffn: int = 512
    rope_base: float = 500000.0
    epsilon: float = 1e-5

    @property
    def head_size(self):
        return self.width // self.heads


# Spread of fresh embeddings: large beside what one step adds to the residual stream, so that what the first steps do
# not need is not forgotten; the last norm brings logits back to size.
EMBED = 0.5


def initial(shape, seed):
    """Fresh weights: matrices that write into the residual stream start at zero."""
    rng = np.random.default_rng(seed)

    def matrix(inputs, outputs, scale=1.0):
        std = scale / math.sqrt(inputs)
        return rng.normal(0.0, std, (shape.layers, inputs, outputs)).astype(np.float32)

    kv = shape.kv_heads * shape.head_size
    return {
        "embed": rng.normal(0.0, EMBED, (shape.vocabulary, shape.width)).astype(np.float32),
        "norm_attn": np.ones((shape.layers, shape.width), np.float32),
        "norm_ffn": np.ones((shape.layers, shape.width), np.float32),
        "norm_out": np.full((shape.width,), 0.05 / EMBED, np.float32),
        "q": matrix(shape.width, shape.width),
        "k": matrix(shape.width, kv),
        "v": matrix(shape.width, kv),
        "o": np.zeros((shape.layers, shape.width, shape.width), np.float32),
        "gate": matrix(shape.width, shape.ffn),
        "up": matrix(shape.width, shape.ffn),
        "down": np.zeros((shape.layers, shape.ffn, shape.width), np.float32),
    }


def with_copying(shape, weights, seed):
    """Weights whose first two layers copy from the start: the circuit that training would find late.

    Layer 0 looks one and two tokens back (one lane of the embedding is the same for all tokens, so that rotary
    embedding alone decides) and notes what stands there. Layer 1 looks for earlier places that come after the
    present token and the one before it, and adds the token that stands at such a place.
    """
    rng = np.random.default_rng(seed)
    size, half, width = shape.head_size, shape.head_size // 2, shape.width
    weights["embed"][:, 0] = 4 * EMBED
    frequencies = shape.rope_base ** (-np.arange(half) / half)
    basis = np.linalg.qr(rng.normal(size=(width, width)))[0].astype(np.float32)
    token, back, back2 = (basis[:, size * i : size * (i + 1)] for i in range(3))
    fast = np.arange(8)
    for head, noted in enumerate((back, back2)):
        lanes, angles = head * size + fast, (head + 1) * frequencies[fast]
        part = slice(head * size, (head + 1) * size)
        weights["q"][0, :, part] = weights["k"][0, :, part] = 0.0
        weights["q"][0, 0, lanes] = 2.6
        weights["k"][0, 0, lanes] = 2.6 * np.cos(angles)
        weights["k"][0, 0, lanes + half] = 2.6 * np.sin(angles)
        weights["v"][0, :, part] = token
        weights["o"][0, part] = 2 * EMBED * noted.T
    slow = np.arange(half - 20, half)
    for head in range(shape.heads):
        part = slice(head * size, (head + 1) * size)
        weights["q"][1, :, part] = weights["k"][1, :, part] = 0.0
        dims = (head * 16 + np.arange(40)) % size
        first, second = np.concatenate([slow[:10], slow[:10] + half]), np.concatenate([slow[10:], slow[10:] + half])
        lanes = head * size + np.concatenate([first, second])
        weights["q"][1][:, lanes] = np.concatenate([2.2 * token[:, dims[:20]], 3.2 * back[:, dims[20:]]], axis=1)
        weights["k"][1][:, lanes] = np.concatenate([2.2 * back[:, dims[:20]], 3.2 * back2[:, dims[20:]]], axis=1)
    weights["v"][1] = basis
    weights["o"][1] = 3 * EMBED * basis.T
    return weights


MATRICES = ("q", "k", "v", "o", "gate", "up", "down")


def _norm(x, weight, epsilon):
    scale = jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=-1, keepdims=True) + epsilon)
    return x * scale * weight


def rope_tables(shape, length):
    """Cosines and sines (length, 1, pairs of lanes) of the positions from zero on."""
    half = shape.head_size // 2
    frequencies = shape.rope_base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angles = jnp.arange(length, dtype=jnp.float32)[:, None, None] * frequencies
    return jnp.cos(angles), jnp.sin(angles)


def _rotate(x, cos, sin):
    """Pairs lane `i` with lane `i + half`; the export reorders rows to neighbouring pairs."""
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def hidden(shape, weights, tokens, segments, dtype):
    """Final hidden states (rows, length, width); a token sees the earlier ones of its own segment.

    Places are counted over the whole row: rotary embedding only knows differences.
    """
    rows, length = tokens.shape
    cos, sin = (t.astype(dtype) for t in rope_tables(shape, length))
    seen = (segments[:, :, None] == segments[:, None, :]) & jnp.tril(jnp.ones((length, length), bool))
    bias = jnp.where(seen, 0.0, -1e9).astype(dtype)[:, None]
    x = weights["embed"][tokens]
    groups = shape.heads // shape.kv_heads
    for layer in range(shape.layers):
        w = {name: weights[name][layer].astype(dtype) for name in MATRICES}
        h = _norm(x, weights["norm_attn"][layer], shape.epsilon).astype(dtype)
        qkv = h @ jnp.concatenate([w["q"], w["k"], w["v"]], axis=1)
        kv = shape.kv_heads * shape.head_size
        q, k, v = jnp.split(qkv, [shape.width, shape.width + kv], axis=-1)
        q = _rotate(q.reshape(rows, length, shape.heads, shape.head_size), cos, sin)
        k = _rotate(k.reshape(rows, length, shape.kv_heads, shape.head_size), cos, sin)
        v = v.reshape(rows, length, shape.kv_heads, shape.head_size)
        if groups > 1:
            k, v = jnp.repeat(k, groups, axis=2), jnp.repeat(v, groups, axis=2)
        scores = jnp.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(shape.head_size) + bias
        top = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
        e = jnp.exp(scores - top)
        inverse = 1.0 / jnp.sum(e, axis=-1, dtype=jnp.float32)
        mixed = jnp.einsum("bhqk,bkhd->bqhd", e, v)
        mixed = mixed * jnp.swapaxes(inverse, 1, 2)[..., None].astype(dtype)
        x = x + (mixed.reshape(rows, length, shape.width) @ w["o"]).astype(jnp.float32)
        h = _norm(x, weights["norm_ffn"][layer], shape.epsilon).astype(dtype)
        gate, up = jnp.split(h @ jnp.concatenate([w["gate"], w["up"]], axis=1), 2, axis=-1)
        x = x + ((jax.nn.silu(gate) * up) @ w["down"]).astype(jnp.float32)
    return _norm(x, weights["norm_out"], shape.epsilon)


def answer_loss(shape, weights, batch, dtype):
    """Mean cross entropy over the answer tokens, whose places are `batch["where"]` in the flattened rows."""
    states = hidden(shape, weights, batch["tokens"], batch["segments"], dtype)
    picked = states.reshape(-1, shape.width)[batch["where"]].astype(dtype)
    logits = (picked @ weights["embed"].T.astype(dtype)).astype(jnp.float32)
    loss = jax.nn.logsumexp(logits, axis=-1) - jnp.take_along_axis(
        logits, batch["target"][:, None], axis=-1
    )[:, 0]
    hit = (jnp.argmax(logits, axis=-1) == batch["target"]) * (batch["weight"] > 0)
    total = jnp.maximum(jnp.sum(batch["weight"]), 1.0)
    return jnp.sum(loss * batch["weight"]) / total, jnp.sum(hit) / jnp.sum(batch["weight"] > 0)

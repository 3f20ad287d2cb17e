"""The starter model: a small Llama in PyTorch.

Weights are a flat dictionary; matrices of equal shape are stacked over layers, so that one optimiser step
handles all of them at once. `x @ w` uses shape `(layers, inputs, outputs)`.
"""

import dataclasses
import math

import numpy as np
import torch
import torch.nn.functional as F


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
MATRICES = ("q", "k", "v", "o", "gate", "up", "down")
# What products are made of: bfloat16 where the CPU multiplies it, which is several times as fast there and as much
# slower elsewhere.
PRODUCT = torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


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


# What a compiler makes one loop of. Products stay with the library, which multiplies faster than the compiler's own loops.
fused = torch.compile(dynamic=True)


@fused
def _norm(x, weight, epsilon):
    scale = torch.rsqrt(x.square().mean(-1, keepdim=True) + epsilon)
    return (x * scale * weight).to(PRODUCT)


def rope_tables(shape, length):
    """Cosines and sines (length, 1, pairs of lanes) of the positions from zero on."""
    half = shape.head_size // 2
    frequencies = shape.rope_base ** (-torch.arange(half, dtype=torch.float32) / half)
    angles = torch.arange(length, dtype=torch.float32)[:, None] * frequencies
    return torch.cos(angles), torch.sin(angles)


@fused
def _rotate(x, cos, sin):
    """Pairs lane `i` with lane `i + half`; the export reorders rows to neighbouring pairs."""
    a, b = x.float().chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


def _heads(x, count, size):
    return x.unflatten(-1, (count, size)).transpose(1, 2)


def _attention_in(shape, x, norm, q, k, v, cos, sin):
    h = _norm(x, norm, shape.epsilon)
    q, k, v = h @ q, h @ k, h @ v
    q = _rotate(_heads(q, shape.heads, shape.head_size), cos, sin)
    k = _rotate(_heads(k, shape.kv_heads, shape.head_size), cos, sin)
    return q, k, _heads(v, shape.kv_heads, shape.head_size)


def _attention(q, k, v, mask):
    """Plain products: on a CPU several times as fast as the fused operator at these lengths."""
    scores = torch.baddbmm(mask, q.flatten(0, 1), k.flatten(0, 1).mT, alpha=q.shape[-1] ** -0.5)
    return (scores.softmax(-1) @ v.flatten(0, 1)).unflatten(0, q.shape[:2])


@fused
def _gated(gate, up):
    return F.silu(gate) * up


def _feed_forward(shape, x, norm, gate, up, down):
    h = _norm(x, norm, shape.epsilon)
    return x + _gated(h @ gate, h @ up) @ down


def hidden(shape, weights, tokens):
    """Final hidden states (rows, length, width) of rows that hold one document each."""
    length = tokens.shape[1]
    cos, sin = rope_tables(shape, length)
    mask = torch.full((1, length, length), -1e9, dtype=PRODUCT).triu(1)
    w = {name: weights[name].to(PRODUCT) for name in MATRICES}
    x = F.embedding(tokens, weights["embed"])
    for layer in range(shape.layers):
        m = {name: w[name][layer] for name in MATRICES}
        q, k, v = _attention_in(shape, x, weights["norm_attn"][layer], m["q"], m["k"], m["v"], cos, sin)
        x = x + _attention(q, k, v, mask).transpose(1, 2).flatten(2) @ m["o"]
        x = _feed_forward(shape, x, weights["norm_ffn"][layer], m["gate"], m["up"], m["down"])
    return _norm(x, weights["norm_out"], shape.epsilon)


def logits_at(shape, weights, tokens, where):
    """Logits of the places `where` of the flattened rows."""
    picked = hidden(shape, weights, tokens).flatten(0, 1)[where]
    return picked @ weights["embed"].to(PRODUCT).T


@fused
def _weighed(logits, target, weight):
    logits = logits.float()
    hits = (logits.argmax(-1) == target).float().mean()
    return F.cross_entropy(logits, target, reduction="none") @ weight, hits


def answer_loss(shape, weights, batch):
    """Weighted sum of the cross entropy over the answer tokens, and the share of them that the model puts first."""
    return _weighed(logits_at(shape, weights, batch["tokens"], batch["where"]), batch["target"], batch["weight"])

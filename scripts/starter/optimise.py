"""Muon for matrices, Adam for the embedding and the norms."""

import jax
import jax.numpy as jnp

from model import MATRICES

NEWTON_SCHULZ = ((3.4445, -4.7750, 2.0315),) * 5


def start(weights):
    """Moments of every weight, all zero, and the step counter of Adam."""
    zeros = {name: jnp.zeros_like(w) for name, w in weights.items()}
    second = {name: jnp.zeros_like(w) for name, w in weights.items() if name not in MATRICES}
    return {"first": zeros, "second": second, "steps": jnp.zeros((), jnp.int32)}


def orthogonal(update):
    """The nearest matrix with all singular values near one, per layer, by Newton-Schulz steps."""
    x = update
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = jnp.swapaxes(x, -1, -2)
    norm = jnp.sqrt(jnp.sum(jnp.square(x), axis=(-2, -1), keepdims=True))
    x = x / (norm + 1e-7)
    for a, b, c in NEWTON_SCHULZ:
        gram = x @ jnp.swapaxes(x, -1, -2)
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return jnp.swapaxes(x, -1, -2) if tall else x


def step(weights, gradients, state, muon_rate, adam_rate, decay=0.01):
    """One update with these rates; norms learn at a quarter of the embedding's."""
    steps = state["steps"] + 1
    first, second, new = {}, {}, {}
    warm = jnp.minimum(1.0, steps / 300.0)
    momentum = 0.85 + 0.10 * warm
    for name, weight in weights.items():
        gradient = gradients[name]
        if name in MATRICES:
            first[name] = momentum * state["first"][name] + (1 - momentum) * gradient
            look_ahead = momentum * first[name] + (1 - momentum) * gradient
            update = orthogonal(look_ahead)
            inputs, outputs = weight.shape[-2:]
            scale = muon_rate * max(1.0, outputs / inputs) ** 0.5
            new[name] = weight * (1 - decay * muon_rate) - scale * update
        else:
            first[name] = 0.9 * state["first"][name] + 0.1 * gradient
            second[name] = 0.97 * state["second"][name] + 0.03 * jnp.square(gradient)
            mean = first[name] / (1 - 0.9**steps)
            spread = jnp.sqrt(second[name] / (1 - 0.97**steps)) + 1e-8
            new[name] = weight - adam_rate * (1.0 if name == "embed" else 0.25) * mean / spread
    return new, {"first": first, "second": second, "steps": steps}

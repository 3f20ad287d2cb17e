"""Muon for matrices, Adam for the embedding and the norms."""

import torch

from model import MATRICES, PRODUCT

NEWTON_SCHULZ = ((3.4445, -4.7750, 2.0315),) * 5


def start(weights):
    """Moments of every weight, all zero, and the step counter of Adam."""
    first = {name: torch.zeros_like(w) for name, w in weights.items()}
    second = {name: torch.zeros_like(w) for name, w in weights.items() if name not in MATRICES}
    return {"first": first, "second": second, "steps": 0}


def orthogonal(update):
    """The nearest matrix with all singular values near one, per layer, by Newton-Schulz steps."""
    x = update.to(PRODUCT)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for a, b, c in NEWTON_SCHULZ:
        gram = x @ x.mT
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.mT if tall else x).float()


@torch.no_grad()
def step(weights, state, muon_rate, adam_rate, decay=0.01):
    """One update with these rates from the weights' gradients; norms learn at a quarter of the embedding's."""
    state["steps"] += 1
    steps = state["steps"]
    momentum = 0.85 + 0.10 * min(1.0, steps / 300.0)
    for name, weight in weights.items():
        gradient, first = weight.grad, state["first"][name]
        if name in MATRICES:
            first.lerp_(gradient, 1 - momentum)
            update = orthogonal(gradient.lerp(first, momentum))
            inputs, outputs = weight.shape[-2:]
            weight.mul_(1 - decay * muon_rate).sub_(update, alpha=muon_rate * max(1.0, outputs / inputs) ** 0.5)
        else:
            second = state["second"][name]
            first.lerp_(gradient, 0.1)
            second.lerp_(gradient.square(), 0.03)
            spread = (second / (1 - 0.97**steps)).sqrt_().add_(1e-8)
            rate = adam_rate * (1.0 if name == "embed" else 0.25) / (1 - 0.9**steps)
            weight.addcdiv_(first, spread, value=-rate)
        weight.grad = None

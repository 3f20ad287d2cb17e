"""Documents into batches: rows of nearly the same length, one document each."""

import numpy as np
import torch

LONGEST = 1280
# Shards that are read together, so that rows of every length find company.
TOGETHER = 4


def documents(path):
    """(ids, learnt) of every document of a shard."""
    with np.load(path) as file:
        ids, learnt, lengths = file["ids"].astype(np.int64), file["learnt"], file["lengths"]
    ends = np.cumsum(lengths)
    return [(ids[e - n : e], learnt[e - n : e]) for e, n in zip(ends, lengths) if n <= LONGEST]


def batch(group):
    """Tensors of some documents: `tokens` (rows, length), and where in the flattened rows which token is to be predicted.

    A token weighs less the longer the answers of its document are, so that short gaps in code count beside long
    explanations.
    """
    length = max(len(ids) for ids, _ in group)
    tokens = np.zeros((len(group), length), np.int64)
    where, target, weight = [], [], []
    for row, (ids, learnt) in enumerate(group):
        tokens[row, : len(ids)] = ids
        places = np.flatnonzero(learnt)
        where.append(row * length + places - 1)
        target.append(ids[places])
        weight.append(np.full(len(places), len(places) ** -0.5, np.float32))
    answers = {"where": where, "target": target, "weight": weight}
    arrays = {"tokens": tokens} | {name: np.concatenate(parts) for name, parts in answers.items()}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def groups(found, budget):
    """Documents sorted by length, cut where rows times length would exceed the budget of tokens."""
    group = []
    for document in sorted(found, key=lambda d: len(d[0])):
        if group and (len(group) + 1) * len(document[0]) > budget:
            yield group
            group = []
        group.append(document)
    if group:
        yield group


def stream(paths, budget, rng):
    """(path, batch) without end: the batches of a few shards at a time, shuffled."""
    found = []
    for count, path in enumerate(paths, 1):
        found += documents(path)
        if count == 1 or count % TOGETHER == 0:
            rng.shuffle(found)
            ready = list(groups(found, budget))
            rng.shuffle(ready)
            for group in ready:
                yield path, batch(group)
            found = []

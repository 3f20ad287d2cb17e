"""Documents into rows of a few lengths: every row starts with one document, short ones fill what is left."""

import bisect

import numpy as np

LENGTHS = (160, 256, 384, 768, 1280)
FILLER = 80


def documents(path):
    """(ids, learnt) of every document of a shard."""
    with np.load(path) as file:
        ids, learnt, lengths = file["ids"], file["learnt"], file["lengths"]
    ends = np.cumsum(lengths)
    return [(ids[e - n : e], learnt[e - n : e]) for e, n in zip(ends, lengths)]


def rows(found):
    """Lists of documents per row length; a document too long for every row is left out."""
    fillers = sorted((d for d in found if len(d[0]) <= FILLER), key=lambda d: len(d[0]))
    sizes = [len(d[0]) for d in fillers]
    filled = {length: [] for length in LENGTHS}

    def fill(row, left):
        while (at := bisect.bisect_right(sizes, left) - 1) >= 0:
            row.append(fillers.pop(at))
            left -= sizes.pop(at)
        return row

    for document in found:
        size = len(document[0])
        length = next((n for n in LENGTHS if size <= n), None)
        if size > FILLER and length:
            filled[length].append(fill([document], length - size))
    while fillers:
        filled[LENGTHS[1]].append(fill([], LENGTHS[1]))
    return filled


def batch(length, packed, budget):
    """Arrays of one step: `tokens` and `segments` (rows, length), and where which token is to be predicted."""
    count = budget // length
    tokens = np.zeros((count, length), np.int32)
    segments = np.zeros((count, length), np.int32)
    where, target = [], []
    for index, row in enumerate(packed):
        start = 0
        for number, (ids, learnt) in enumerate(row, 1):
            tokens[index, start : start + len(ids)] = ids
            segments[index, start : start + len(ids)] = number
            places = np.flatnonzero(learnt)
            where.append(index * length + start + places - 1)
            target.append(ids[places])
            start += len(ids)
    where, target = np.concatenate(where), np.concatenate(target).astype(np.int32)
    room = int(0.42 * count * length)
    weight = np.zeros(room, np.float32)
    weight[: len(where)] = 1.0
    return {
        "tokens": tokens, "segments": segments, "weight": weight,
        "where": np.resize(where, room).astype(np.int32), "target": np.resize(target, room),
    }


def stream(paths, budget, rng):
    """Batches without end over the shards in order, each shard's batches shuffled."""
    carried = {length: [] for length in LENGTHS}
    for path in paths:
        ready = []
        for length, packed in rows(documents(path)).items():
            carried[length] += packed
            count = budget // length
            while len(carried[length]) >= count:
                ready.append((length, carried[length][:count]))
                del carried[length][:count]
        rng.shuffle(ready)
        for length, packed in ready:
            yield path, batch(length, packed, budget)

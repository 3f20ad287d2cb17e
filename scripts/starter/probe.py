"""A quick look while training: how many held-out answers the model would write exactly as expected."""

import collections
import functools
import random

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer

import model
import tasks
from vocabulary import encode
from words import Words

LENGTH = 320
KINDS = {
    "sql": (lambda w: tasks.sql_dialogue(w, turns=1), 64), "passages": (lambda w: tasks.passage_dialogue(w, turns=1), 32),
    "middle": (tasks.middle, 32), "explain": (tasks.explain_dialogue, 16), "chat": (tasks.chat_dialogue, 8),
}


def prepare(path, seed):
    """The tokenizer, and arrays of held-out documents with one kind per row."""
    tokenizer = Tokenizer.from_file(path)
    words = Words(random.Random(seed), True)
    rows = []
    for kind, (make, count) in KINDS.items():
        while count:
            pieces = make(words)
            ids, learnt = encode(tokenizer, pieces)
            if len(ids) > LENGTH:
                continue
            count -= 1
            rows.append((kind + (" join" if any(" JOIN " in t for t, _ in pieces) and kind == "sql" else ""), ids, learnt))
    return tokenizer, rows


@functools.partial(jax.jit, static_argnums=0)
def _guesses(shape, weights, tokens):
    states = model.hidden(shape, weights, tokens, jnp.ones_like(tokens), jnp.float32)
    return jnp.argmax(states @ weights["embed"].T, axis=-1)


def report(shape, weights, rows):
    """Share of rows whose every answer token is the model's first choice, by kind."""
    right, all_rows = collections.Counter(), collections.Counter()
    for begin in range(0, len(rows), 8):
        part = rows[begin : begin + 8]
        tokens = np.zeros((8, LENGTH), np.int32)
        for index, (_, ids, _) in enumerate(part):
            tokens[index, : len(ids)] = ids
        guesses = np.asarray(_guesses(shape, weights, tokens))
        for index, (kind, ids, learnt) in enumerate(part):
            places = np.flatnonzero(learnt)
            all_rows[kind] += 1
            right[kind] += bool(np.all(guesses[index, places - 1] == np.asarray(ids)[places]))
    return {kind: f"{right[kind]}/{count}" for kind, count in all_rows.items()}

"""A quick look while training: how many held-out answers the model would write exactly as expected."""

import collections
import random

import torch
from tokenizers import Tokenizer

import model
import packing
import tasks
from vocabulary import encode
from words import Words

LENGTH = 320
KINDS = {
    "sql": (lambda w: tasks.sql_dialogue(w, turns=1), 64), "passages": (lambda w: tasks.passage_dialogue(w, turns=1), 32),
    "middle": (tasks.middle, 32), "explain": (tasks.explain_dialogue, 16), "chat": (tasks.chat_dialogue, 8),
}


def prepare(path, seed):
    """The tokenizer, and held-out documents as batches of one row with their kinds."""
    tokenizer = Tokenizer.from_file(path)
    words = Words(random.Random(seed), True)
    rows = []
    for kind, (make, count) in KINDS.items():
        while count:
            pieces = make(words)
            ids, learnt = (torch.tensor(found) for found in encode(tokenizer, pieces))
            if len(ids) > LENGTH:
                continue
            count -= 1
            join = kind == "sql" and any(" JOIN " in text for text, _ in pieces)
            rows.append((kind + " join" * join, packing.batch([(ids.numpy(), learnt.numpy())])))
    return tokenizer, rows


@torch.no_grad()
def report(shape, weights, rows):
    """Share of rows whose every answer token is the model's first choice, by kind."""
    right, all_rows = collections.Counter(), collections.Counter()
    for kind, row in rows:
        guesses = model.logits_at(shape, weights, row["tokens"], row["where"]).argmax(-1)
        all_rows[kind] += 1
        right[kind] += bool((guesses == row["target"]).all())
    return {kind: f"{right[kind]}/{count}" for kind, count in all_rows.items()}

"""Writes documents for training as shards of token ids: `python generate.py --tokenizer T --out DIR`."""

import argparse
import pathlib
import random

import numpy as np
from tokenizers import Tokenizer

import tasks
from vocabulary import encode, parts
from words import Words

SHARD = 2000


def shard(tokenizer, seed, mix):
    """Documents of one shard: ids end to end, their lengths, and which ids are learnt."""
    words = Words(random.Random(seed), False, parts(tokenizer))
    ids, learnt, lengths = [], [], []
    for _ in range(SHARD):
        got, answer = encode(tokenizer, tasks.document(words, mix)[1])
        ids += got
        learnt += answer
        lengths.append(len(got))
    return {"ids": np.array(ids, np.uint16), "learnt": np.array(learnt, bool), "lengths": np.array(lengths, np.int32)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--first", type=int, default=2, help="shards for the beginning: copying and simple questions")
    parser.add_argument("--shards", type=int, default=40, help="shards of the whole mix")
    parser.add_argument("--last", type=int, default=1 << 30, help="number of the first shard with more over one table, for the end")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--begin", type=int, default=0, help="number of the first shard, to go on where a run stopped")
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(options.tokenizer)
    options.out.mkdir(parents=True, exist_ok=True)
    for index in range(options.begin, options.first + options.shards):
        mix = tasks.FIRST if index < options.first else tasks.LAST if index >= options.last else tasks.MIX
        path = options.out / f"{index:04}.npz"
        part = path.with_suffix(".part")
        with open(part, "wb") as file:
            np.savez(file, **shard(tokenizer, options.seed * 100_003 + index, mix))
        part.rename(path)
        print(path, flush=True)


if __name__ == "__main__":
    main()

"""Trains the starter model: `python train.py --data DIR --checkpoint FILE --minutes N`.

The rate is constant and falls to zero over the last minutes. A checkpoint is written every few minutes; the run goes
on from it if it exists. New shards that appear in the data folder are used as they come.
"""

import argparse
import itertools
import os
import pathlib
import random
import sys
import time

# Freed memory is kept for the next step: giving it back to the system and asking anew costs a third of the time.
# The allocator reads this once, so the process begins again with it.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "2000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000"}
if __name__ == "__main__" and not KEEP_MEMORY.items() <= os.environ.items():
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_MEMORY)

import numpy as np
import torch

import model
import optimise
import packing
import probe
import weights_file


def options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--checkpoint", required=True, type=pathlib.Path)
    parser.add_argument("--from", dest="start", type=pathlib.Path, help="a GGUF file of ours to begin with")
    parser.add_argument("--minutes", type=float, default=60, help="length of the run")
    parser.add_argument("--decay", type=float, default=24, help="minutes over which the rate falls at the end")
    parser.add_argument("--save", type=float, default=4, help="minutes between checkpoints")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens per batch")
    parser.add_argument("--batches", type=int, default=2, help="batches, of different lengths, per step")
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=0.004)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


# The running average of the weights, over some hundred steps, is what is exported: a run can be cut at any time.
AVERAGE = 0.997
# Steps over which the rates rise at the beginning.
WARM = 60


def learn(shape, weights, batches):
    """Gradients of the mean loss over the answers of all batches; that mean, and the share of first choices."""
    total = sum(batch["weight"].sum() for batch in batches)
    told = np.zeros(2)
    for batch in batches:
        loss, hits = model.answer_loss(shape, weights, batch)
        (loss / total).backward()
        told += np.array([(loss / total).item(), hits.item() / len(batches)])
    return told


@torch.no_grad()
def blend(average, weights, steps):
    keep = min(AVERAGE, steps / (steps + 20.0))
    for name, weight in weights.items():
        average[name].lerp_(weight, 1 - keep)


def save(path, weights, state, average, progress):
    """Weights, their average, moments and progress in one file, replaced at once."""
    flat = {f"w.{k}": v.detach().numpy() for k, v in weights.items()}
    flat |= {f"average.{k}": v.numpy() for k, v in average.items()}
    flat |= {f"first.{k}": v.numpy() for k, v in state["first"].items()}
    flat |= {f"second.{k}": v.numpy() for k, v in state["second"].items()}
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.savez(file, steps=np.asarray(state["steps"]), **{k: np.asarray(v) for k, v in progress.items()}, **flat)
    part.rename(path)


def load(path):
    with np.load(path) as file:
        pick = lambda head: {k[len(head) :]: torch.from_numpy(file[k]) for k in file.files if k.startswith(head)}
        state = {"first": pick("first."), "second": pick("second."), "steps": int(file["steps"])}
        return pick("w."), state, pick("average."), {k: file[k].item() for k in ("shard", "elapsed", "tokens")}


def shards(folder, begin):
    """Shard files in order from number `begin` on; after the last comes the first that is not for beginners."""
    number = begin
    while True:
        path = folder / f"{number:04}.npz"
        if not path.exists():
            if number <= 2:
                sys.exit(f"{path} is missing: generate.py makes it")
            path, number = folder / "0002.npz", 2
        yield path
        number += 1


def rate_at(elapsed, chosen):
    """1 until the last `decay` minutes, then falling to zero."""
    return float(np.clip((chosen.minutes - elapsed) / chosen.decay, 0.0, 1.0))


def main():
    chosen = options()
    torch.set_num_threads(chosen.threads)
    torch.set_flush_denormal(True)
    tokenizer, exam = probe.prepare(chosen.tokenizer, seed=77)
    shape = model.Shape(tokenizer.get_vocab_size(), layers=chosen.layers)
    progress = {"shard": 0, "elapsed": 0.0, "tokens": 0}
    if chosen.checkpoint.exists():
        weights, state, average, progress = load(chosen.checkpoint)
    else:
        first = weights_file.read(chosen.start, shape) if chosen.start else model.with_copying(shape, model.initial(shape, chosen.seed), chosen.seed)
        weights = {k: torch.from_numpy(v) for k, v in first.items()}
        state = optimise.start(weights)
        average = {k: v.clone() for k, v in weights.items()}
    weights = {k: v.requires_grad_() for k, v in weights.items()}
    print(sum(v.numel() for v in weights.values()), "weights", flush=True)
    rng = random.Random(chosen.seed + progress["shard"])
    begun, saved, told = time.time() - progress["elapsed"] * 60, time.time(), []
    batches = packing.stream(shards(chosen.data, progress["shard"]), chosen.tokens, rng)
    while True:
        rate = rate_at((time.time() - begun) / 60, chosen)
        if rate == 0.0:
            break
        rate *= min(1.0, (state["steps"] + 1) / WARM)
        taken = list(itertools.islice(batches, chosen.batches))
        told.append(learn(shape, weights, [batch for _, batch in taken]))
        optimise.step(weights, state, rate * chosen.muon, rate * chosen.adam)
        blend(average, weights, state["steps"])
        seen = sum(batch["tokens"].numel() for _, batch in taken)
        progress = {"shard": int(taken[-1][0].stem), "elapsed": (time.time() - begun) / 60, "tokens": progress["tokens"] + seen}
        if len(told) == 50:
            loss, hits = np.mean(told, axis=0)
            rates = f"{progress['tokens'] / progress['elapsed'] / 60:.0f} tokens/s"
            print(f"{state['steps']} {progress['elapsed']:.1f} min shard {progress['shard']} loss {loss:.3f} hits {hits:.3f} rate {rate:.2f} {rates}", flush=True)
            told = []
        if time.time() - saved > chosen.save * 60:
            save(chosen.checkpoint, weights, state, average, progress)
            saved = time.time()
            print("exact", probe.report(shape, average, exam), flush=True)
    save(chosen.checkpoint, weights, state, average, progress)
    print("exact", probe.report(shape, average, exam), flush=True)


if __name__ == "__main__":
    main()

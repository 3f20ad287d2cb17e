"""Trains the starter model: `python train.py --data DIR --checkpoint FILE --minutes N`.

The rate is constant and falls to zero over the last minutes. A checkpoint is written every few minutes; the run goes
on from it if it exists. New shards that appear in the data folder are used as they come.
"""

import argparse
import functools
import pathlib
import random
import time

import jax
import jax.numpy as jnp
import numpy as np

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
    parser.add_argument("--decay", type=float, default=18, help="minutes over which the rate falls at the end")
    parser.add_argument("--save", type=float, default=5, help="minutes between checkpoints")
    parser.add_argument("--tokens", type=int, default=4096, help="tokens per step")
    parser.add_argument("--muon", type=float, default=0.02)
    parser.add_argument("--adam", type=float, default=0.004)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


# The running average of the weights, over some hundred steps, is what is exported: a run can be cut at any time.
AVERAGE = 0.997
# Steps over which the rates rise at the beginning.
WARM = 60


def step_function(shape):
    @functools.partial(jax.jit, donate_argnums=(0, 1, 2))
    def step(weights, state, average, batch, muon_rate, adam_rate):
        def loss(w):
            return model.answer_loss(shape, w, batch, jnp.bfloat16)

        (value, hits), gradients = jax.value_and_grad(loss, has_aux=True)(weights)
        weights, state = optimise.step(weights, gradients, state, muon_rate, adam_rate)
        keep = jnp.minimum(AVERAGE, state["steps"] / (state["steps"] + 20.0))
        average = {k: keep * average[k] + (1 - keep) * w for k, w in weights.items()}
        return weights, state, average, value, hits

    return step


def save(path, weights, state, average, progress):
    """Weights, their average, moments and progress in one file, replaced at once."""
    flat = {f"w.{k}": np.asarray(v) for k, v in weights.items()}
    flat |= {f"average.{k}": np.asarray(v) for k, v in average.items()}
    flat |= {f"first.{k}": np.asarray(v) for k, v in state["first"].items()}
    flat |= {f"second.{k}": np.asarray(v) for k, v in state["second"].items()}
    part = path.with_suffix(".part")
    with open(part, "wb") as file:
        np.savez(file, steps=np.asarray(state["steps"]), **{k: np.asarray(v) for k, v in progress.items()}, **flat)
    part.rename(path)


def load(path):
    with np.load(path) as file:
        pick = lambda head: {k[len(head) :]: jnp.asarray(file[k]) for k in file.files if k.startswith(head)}
        state = {"first": pick("first."), "second": pick("second."), "steps": jnp.asarray(file["steps"])}
        return pick("w."), state, pick("average."), {k: file[k].item() for k in ("shard", "elapsed", "tokens")}


def shards(folder, begin):
    """Shard files in order from number `begin` on, waiting for those that are still being written."""
    number = begin
    while True:
        path = folder / f"{number:04}.npz"
        while not path.exists():
            if not (folder / f"{number:04}.part").exists() and number > 2:
                time.sleep(5)
                if not path.exists() and not (folder / f"{number:04}.part").exists():
                    number = 2
                    path = folder / f"{number:04}.npz"
            time.sleep(1)
        yield path
        number += 1


def rate_at(elapsed, chosen):
    """1 until the last `decay` minutes, then falling to zero."""
    return float(np.clip((chosen.minutes - elapsed) / chosen.decay, 0.0, 1.0))


def main():
    chosen = options()
    tokenizer, exam = probe.prepare(chosen.tokenizer, seed=77)
    shape = model.Shape(tokenizer.get_vocab_size(), layers=chosen.layers)
    progress = {"shard": 0, "elapsed": 0.0, "tokens": 0}
    if chosen.checkpoint.exists():
        weights, state, average, progress = load(chosen.checkpoint)
    else:
        first = weights_file.read(chosen.start, shape) if chosen.start else model.with_copying(shape, model.initial(shape, chosen.seed), chosen.seed)
        weights = {k: jnp.asarray(v) for k, v in first.items()}
        state = optimise.start(weights)
        average = {k: jnp.array(v) for k, v in weights.items()}
    print(sum(v.size for v in weights.values()), "weights", flush=True)
    step = step_function(shape)
    rng = random.Random(chosen.seed + progress["shard"])
    begun, saved, told = time.time() - progress["elapsed"] * 60, time.time(), []
    for path, batch in packing.stream(shards(chosen.data, progress["shard"]), chosen.tokens, rng):
        rate = rate_at((time.time() - begun) / 60, chosen)
        if rate == 0.0:
            break
        rate *= min(1.0, (int(state["steps"]) + 1) / WARM)
        weights, state, average, loss, hits = step(weights, state, average, batch, rate * chosen.muon, rate * chosen.adam)
        told.append((float(loss), float(hits)))
        progress = {"shard": int(path.stem), "elapsed": (time.time() - begun) / 60, "tokens": progress["tokens"] + chosen.tokens}
        if len(told) == 20:
            loss, hits = np.mean(told, axis=0)
            rates = f"{progress['tokens'] / progress['elapsed'] / 60:.0f} tokens/s"
            print(f"{int(state['steps'])} {progress['elapsed']:.1f} min shard {path.stem} loss {loss:.3f} hits {hits:.3f} rate {rate:.2f} {rates}", flush=True)
            told = []
        if time.time() - saved > chosen.save * 60:
            save(chosen.checkpoint, weights, state, average, progress)
            saved = time.time()
            print("exact", probe.report(shape, average, exam), flush=True)
    save(chosen.checkpoint, weights, state, average, progress)
    print("exact", probe.report(shape, average, exam), flush=True)


if __name__ == "__main__":
    main()

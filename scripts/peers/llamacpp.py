"""Prompt and decode rates of llama.cpp through its C functions, as `wick bench --json` measures wick's.

usage: llamacpp.py FILE PROMPT DECODE DEPTH BATCH THREADS RUNS    medians in tokens per second
       llamacpp.py --perplexity FILE TEXT THREADS                 prints one JSON object, as the other does
"""

import json
import statistics
import sys
import time

import llama_cpp as llama
import numpy

STEP_TOKENS = 512


class Context:
    def __init__(self, path, tokens, batch, threads):
        llama.llama_backend_init()
        self.model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        parameters = llama.llama_context_default_params()
        parameters.n_ctx = max(512, tokens) * batch
        parameters.n_batch = 2048
        parameters.n_ubatch = STEP_TOKENS
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.n_seq_max = batch
        self.context = llama.llama_init_from_model(self.model, parameters)
        self.memory = llama.llama_get_memory(self.context)
        self.vocabulary = llama.llama_vocab_n_tokens(llama.llama_model_get_vocab(self.model))

    def forward(self, places, all_logits):
        """`places`: (position, sequence) of each token."""
        batch = llama.llama_batch_init(len(places), 0, 1)
        batch.n_tokens = len(places)
        for index, (position, sequence) in enumerate(places):
            batch.token[index] = (position * 2654435761 >> 7) % self.vocabulary
            batch.pos[index] = position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = sequence
            batch.logits[index] = all_logits or index + 1 == len(places)
        assert llama.llama_decode(self.context, batch) == 0
        llama.llama_synchronize(self.context)
        llama.llama_batch_free(batch)

    def read(self, sequence, start, count):
        for at in range(start, start + count, STEP_TOKENS):
            end = min(at + STEP_TOKENS, start + count)
            self.forward([(position, sequence) for position in range(at, end)], False)

    def tokens(self, text):
        text = text.encode()
        room = (llama.llama_token * (len(text) + 8))()
        vocabulary = llama.llama_model_get_vocab(self.model)
        count = llama.llama_tokenize(vocabulary, text, len(text), room, len(room), True, False)
        return list(room[:count])

    def loss(self, tokens):
        """Sum of minus the log-probability of every token after the first."""
        batch = llama.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for index, token in enumerate(tokens):
            batch.token[index], batch.pos[index], batch.n_seq_id[index] = token, index, 1
            batch.seq_id[index][0], batch.logits[index] = 0, True
        llama.llama_memory_clear(self.memory, True)
        assert llama.llama_decode(self.context, batch) == 0
        loss = 0.0
        for index in range(len(tokens) - 1):
            row = llama.llama_get_logits_ith(self.context, index)
            row = numpy.ctypeslib.as_array(row, (self.vocabulary,)).astype(numpy.float64)
            top = row.max()
            loss += top + numpy.log(numpy.exp(row - top).sum()) - row[tokens[index + 1]]
        llama.llama_batch_free(batch)
        return loss


def perplexity(path, text_path, threads):
    """As `wick bench --perplexity`: windows of 512 tokens, or of the context where that is shorter."""
    context = Context(path, STEP_TOKENS, 1, threads)
    tokens = context.tokens(open(text_path).read())
    window = min(STEP_TOKENS, llama.llama_model_n_ctx_train(context.model))
    windows = [tokens[at : at + window] for at in range(0, len(tokens), window)]
    scored = sum(len(part) - 1 for part in windows)
    return {"perplexity": float(numpy.exp(sum(map(context.loss, windows)) / scored)), "tokens": scored}


def rates(path, prompt, decode, depth, batch, threads, runs):
    started = time.time()
    context = Context(path, depth + max(prompt, decode) + 16, batch, threads)
    load_seconds = time.time() - started
    prompts, decodes = [], []
    for run in range(runs + 1):
        llama.llama_memory_clear(context.memory, True)
        for sequence in range(batch):
            context.read(sequence, 0, depth)
        if prompt:
            started = time.time()
            context.read(0, depth, prompt)
            prompts.append(prompt / (time.time() - started))
            llama.llama_memory_seq_rm(context.memory, 0, depth, -1)
        if decode:
            started = time.time()
            for position in range(depth, depth + decode):
                context.forward([(position, sequence) for sequence in range(batch)], True)
            decodes.append(decode * batch / (time.time() - started))
    # The first run warms up.
    middle = lambda values: statistics.median(values[1:]) if values else None
    return {
        "prompt_tokens_per_second": middle(prompts),
        "decode_tokens_per_second": middle(decodes),
        "load_seconds": load_seconds,
    }


if __name__ == "__main__":
    if sys.argv[1] == "--perplexity":
        print(json.dumps(perplexity(sys.argv[2], sys.argv[3], int(sys.argv[4]))))
    else:
        print(json.dumps(rates(sys.argv[1], *map(int, sys.argv[2:8]))))

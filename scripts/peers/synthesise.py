"""An F16 GGUF of a real model's shape with random weights: the same work per token, and nothing to download.

usage: synthesise.py OUT.gguf {llama3.2-1b|codellama-7b} [TOKENIZER.gguf]

With a third argument the file gets that model's tokenizer and template, and made-up words up to the shape's vocabulary:
texts then have a usual number of tokens, and answers have sentences of about twenty words.
"""

import random
import string
import sys

import gguf
import numpy as np

# layers, width, feed-forward width, heads, key-value heads, vocabulary, context, rope base, one matrix for both ends
SHAPES = {
    "llama3.2-1b": (16, 2048, 8192, 32, 8, 128256, 131072, 500000.0, True),
    "codellama-7b": (32, 4096, 11008, 32, 32, 32016, 16384, 1000000.0, False),
}


def main(path, shape, tokenizer=None):
    layers, width, wide, heads, kv_heads, vocabulary, context, base, tied = SHAPES[shape]
    head = width // heads
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(f"random weights of the shape of {shape}")
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(wide)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_rope_freq_base(base)
    writer.add_rope_dimension_count(head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    if tokenizer:
        add_words(writer, vocabulary, tokenizer)
    else:
        add_placeholder_tokens(writer, vocabulary)

    # Every tensor is cut from one run of random values, each from another place.
    values = np.random.default_rng(7).standard_normal(vocabulary * width + (1 << 20), dtype=np.float32)
    values = (values * 0.02).astype(np.float16)
    place = iter(range(0, 1 << 20, 4096))

    def matrix(name, rows, cols):
        start = next(place) % (1 << 20)
        writer.add_tensor(name, values[start : start + rows * cols].reshape(rows, cols))

    def ones(name):
        writer.add_tensor(name, np.ones(width, dtype=np.float32))

    matrix("token_embd.weight", vocabulary, width)
    if not tied:
        matrix("output.weight", vocabulary, width)
    ones("output_norm.weight")
    for layer in range(layers):
        part = f"blk.{layer}."
        ones(part + "attn_norm.weight")
        ones(part + "ffn_norm.weight")
        matrix(part + "attn_q.weight", width, width)
        matrix(part + "attn_k.weight", kv_heads * head, width)
        matrix(part + "attn_v.weight", kv_heads * head, width)
        matrix(part + "attn_output.weight", width, width)
        matrix(part + "ffn_gate.weight", wide, width)
        matrix(part + "ffn_up.weight", wide, width)
        matrix(part + "ffn_down.weight", width, wide)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_placeholder_tokens(writer, vocabulary):
    """No text is tokenised in a speed run, but both engines read a vocabulary."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([f"t{index}" for index in range(vocabulary)])
    writer.add_token_types([gguf.TokenType.NORMAL] * vocabulary)
    writer.add_token_merges(["t 0"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)


def add_words(writer, vocabulary, tokenizer):
    """The tokenizer of another file; the ids behind its own are words, of which one in twenty ends a sentence."""
    fields = gguf.GGUFReader(tokenizer).fields
    rng = random.Random(7)
    missing = vocabulary - len(fields["tokenizer.ggml.tokens"].data)
    words = ["Ġ" + "".join(rng.choices(string.ascii_lowercase, k=8)) + "." * (rng.random() < 0.05) for _ in range(missing)]
    longer = {"tokenizer.ggml.tokens": words, "tokenizer.ggml.token_type": [gguf.TokenType.NORMAL] * missing}
    for key, field in fields.items():
        if key.startswith("tokenizer."):
            value = field.contents()
            if isinstance(value, list):
                writer.add_array(key, value + longer.get(key, []))
            else:
                writer.add_key_value(key, value, field.types[0])


main(*sys.argv[1:4])

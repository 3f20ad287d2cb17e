"""Reads and writes the model as GGUF; a file of ours can be trained further."""

import argparse
import json
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize, quantize
from tokenizers import Tokenizer

import model
from vocabulary import SPECIAL

CONTEXT = 2048
TEMPLATE = (
    "{{ '<|begin_of_text|>' }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
NAMES = {
    "norm_attn": "attn_norm", "norm_ffn": "ffn_norm", "q": "attn_q", "k": "attn_k", "v": "attn_v", "o": "attn_output",
    "gate": "ffn_gate", "up": "ffn_up", "down": "ffn_down",
}


def _pairs(rows, heads):
    """Rows of Q or K from lanes (i, i + half) to neighbouring pairs, as the format wants them."""
    outputs, inputs = rows.shape
    return rows.reshape(heads, 2, outputs // heads // 2, inputs).swapaxes(1, 2).reshape(outputs, inputs)


def _halves(rows, heads):
    """The inverse of `_pairs`."""
    outputs, inputs = rows.shape
    return rows.reshape(heads, outputs // heads // 2, 2, inputs).swapaxes(1, 2).reshape(outputs, inputs)


def tensors(shape, weights):
    """(name, array) of every tensor, outputs first, as float32."""
    yield "token_embd.weight", weights["embed"]
    yield "output_norm.weight", weights["norm_out"]
    for layer in range(shape.layers):
        for key, name in NAMES.items():
            array = weights[key][layer]
            if key in model.MATRICES:
                array = np.ascontiguousarray(array.T)
            if key in ("q", "k"):
                array = _pairs(array, shape.heads if key == "q" else shape.kv_heads)
            yield f"blk.{layer}.{name}.weight", np.ascontiguousarray(array)


def write(path, shape, weights, tokenizer):
    """The whole file: sizes, tokenizer, template, and matrices as Q8_0."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("wick starter")
    writer.add_basename("starter")
    writer.add_description("A small model that comes with wick: simple SQL, answers from passages, short code.")
    writer.add_license("MIT OR Apache-2.0")
    writer.add_author("the wick authors")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_size)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_vocab_size(shape.vocabulary)
    _add_tokenizer(writer, tokenizer)
    for name, array in tensors(shape, weights):
        if array.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(array.astype(np.float32), kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer, tokenizer):
    state = json.loads(tokenizer.to_str())
    merges = [" ".join(m) if isinstance(m, list) else m for m in state["model"]["merges"]]
    count = tokenizer.get_vocab_size()
    tokens = [tokenizer.id_to_token(i) for i in range(count)]
    kinds = [gguf.TokenType.CONTROL if t in SPECIAL else gguf.TokenType.NORMAL for t in tokens]
    ids = {name: tokenizer.token_to_id(name) for name in SPECIAL}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(ids["<|begin_of_text|>"])
    writer.add_eos_token_id(ids["<|eot_id|>"])
    writer.add_eot_token_id(ids["<|eot_id|>"])
    writer.add_add_bos_token(True)
    writer.add_uint32("tokenizer.ggml.fim_pre_token_id", ids["<|fim_prefix|>"])
    writer.add_uint32("tokenizer.ggml.fim_suf_token_id", ids["<|fim_suffix|>"])
    writer.add_uint32("tokenizer.ggml.fim_mid_token_id", ids["<|fim_middle|>"])
    writer.add_chat_template(TEMPLATE)


def read(path, shape):
    """Weights of a file that `write` made, as float32."""
    found = {t.name: dequantize(t.data, t.tensor_type).astype(np.float32) for t in gguf.GGUFReader(path).tensors}
    weights = {"embed": found["token_embd.weight"], "norm_out": found["output_norm.weight"]}
    for key, name in NAMES.items():
        layers = []
        for layer in range(shape.layers):
            array = found[f"blk.{layer}.{name}.weight"]
            if key in ("q", "k"):
                array = _halves(array, shape.heads if key == "q" else shape.kv_heads)
            layers.append(array.T if key in model.MATRICES else array)
        weights[key] = np.stack(layers)
    return weights


def main():
    parser = argparse.ArgumentParser(description="Turns a checkpoint of train.py into a GGUF file.")
    parser.add_argument("--checkpoint", required=True, type=pathlib.Path)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    tokenizer = Tokenizer.from_file(options.tokenizer)
    with np.load(options.checkpoint) as file:
        weights = {k[8:]: file[k] for k in file.files if k.startswith("average.")}
    shape = model.Shape(len(weights["embed"]), layers=len(weights["q"]))
    write(options.out, shape, weights, tokenizer)


if __name__ == "__main__":
    main()

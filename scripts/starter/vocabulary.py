"""The tokenizer: byte-level BPE with llama-3's pre-tokenizer, made so that a name is the same tokens everywhere.

Merges never join a space, a quote or a bracket to a name: `name` in `(name`, ` name` and `'name'` is one token after
its punctuation, so that the model copies it exactly. Only common words, which are not names, get a token with their
space, and no merge leads to it: ` is` is that token, and ` issue` is its space and then what `issue` is elsewhere.
Numbers have one token for each one to three digits.
"""

import argparse
import collections
import json
import random
import re

import gguf
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import tasks
from words import Words, held_out

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>",
]
SPACE, NEWLINE = "Ġ", "Ċ"
# Words that get a token with their space: what stands between names, in questions, SQL, code and answers.
JOINED = 400
PIECE = re.compile(r"[A-Za-z]+|[^\sA-Za-z0-9]")


def corpus(documents, seed):
    """Pieces of letters with counts, and how often each lower-case or upper-case word follows a space."""
    words = Words(random.Random(seed), False)
    pieces, spaced = collections.Counter(), collections.Counter()
    for _ in range(documents):
        for text, _ in tasks.document(words, tasks.MIX)[1]:
            for special in SPECIAL:
                text = text.replace(special, " ")
            for piece in PIECE.findall(text):
                stem = piece[:-1] if len(piece) > 4 and piece[-1] == "s" and piece[-2] != "s" else piece
                pieces[stem] += 1
            spaced.update(re.findall(r"(?<= )[A-Za-z]+", text))
    return pieces, spaced


def names():
    """Every word that schemas and values are made of: these keep their space apart."""
    import words

    lists = [words.ENTITIES, words.TEXT_NOUNS, words.INTEGER_NOUNS, words.REAL_NOUNS, words.DATE_NOUNS]
    lists += [words.DATE_HEADS, words.MODIFIERS, words.ADJECTIVES, words.PROPER]
    return {part for group in lists for word in group for part in word.split("_")}


def learn(pieces, size):
    """Merges within pieces of letters, most useful first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=256 + size, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False, min_frequency=3
    )
    # Counts are damped and known names lifted, so that they get whole tokens; made-up names are left to pieces.
    known = {w for w in names() if not held_out(w)}
    weights = {w: 20 + round(n**0.6) if w in known or n >= 25 else 1 for w, n in pieces.items() if n >= 2}
    texts = (" ".join([word] * weight) for word, weight in sorted(weights.items()))
    tokenizer.train_from_iterator(texts, trainer)
    return [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]]


def build(documents, seed, size):
    """The whole tokenizer as Hugging Face's object."""
    pieces, spaced = corpus(documents, seed)
    merges = [(a, b) for a in "0123456789" for b in "0123456789"]
    merges += [(a + b, c) for a in "0123456789" for b in "0123456789" for c in "0123456789"]
    merges += learn(pieces, size)
    merges += [(SPACE, SPACE), (SPACE * 2, SPACE), (SPACE * 2, SPACE * 2), (SPACE * 3, SPACE * 3), (SPACE * 6, SPACE)]
    merges += [(NEWLINE, NEWLINE)]
    known = {a + b for a, b in merges} | set(pre_tokenizers.ByteLevel.alphabet())
    apart = names()
    joined = [w for w, count in spaced.most_common() if count >= 40 and w in known and w not in apart and len(w) > 1]
    for sign in "<>=-+*/([{!|%":
        merges.append((SPACE, sign))
    merges += [("'", ")"), (")", ";"), ("'", ";"), ("(", "*"), (">", "="), ("<", "="), ("=", "="), ("<", ">"), ("(", ")"), (NEWLINE, "}")]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate(alphabet)}
    for token in [a + b for a, b in merges] + [SPACE + word for word in joined[:JOINED]]:
        vocabulary.setdefault(token, len(vocabulary))
    return assemble(vocabulary, merges)


def assemble(vocabulary, merges):
    """The tokenizer of these ids and merges; what is one token as a whole needs no merges."""
    model = models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def read(path):
    """The tokenizer of a model file of ours, so that its training can go on."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    return assemble({token: index for index, token in enumerate(tokens) if token not in SPECIAL}, merges)


def parts(tokenizer):
    """Tokens of small letters, of which names may be made."""
    return sorted(token for token in tokenizer.get_vocab() if token.isascii() and token.isalpha() and token.islower())


def encode_answer(tokenizer, text):
    """Token ids of an answer, split before names where the pre-tokenizer would read `'s` as a clitic."""
    pieces = re.split(r"(?<=')(?=[A-Za-z])", text)
    return [i for part in pieces for i in tokenizer.encode(part, add_special_tokens=False).ids]


def encode(tokenizer, pieces):
    """Ids of a document and, for each id, whether it is learnt."""
    ids, learnt = [], []
    for text, answer in pieces:
        got = encode_answer(tokenizer, text) if answer else tokenizer.encode(text, add_special_tokens=False).ids
        ids += got
        learnt += [answer] * len(got)
    return ids, learnt


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True)
    parser.add_argument("--documents", type=int, default=6000)
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--from", dest="file", help="a GGUF file of ours whose tokenizer is taken instead")
    options = parser.parse_args()
    tokenizer = read(options.file) if options.file else build(options.documents, options.seed, options.size)
    tokenizer.save(options.out)
    print(tokenizer.get_vocab_size(), "tokens")


if __name__ == "__main__":
    main()

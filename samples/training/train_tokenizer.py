"""Trains a byte-level BPE tokenizer with Qwen2's splitting rule and writes it as Qwen2 files.

The files are those of the published ReFusion checkpoint, which has no `tokenizer.json`:
vocab.json, merges.txt, added_tokens.json, tokenizer_config.json, special_tokens_map.json.
"""

from __future__ import annotations

import argparse
import json
import os

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

import chat

# The splitting rule of Qwen2's tokenizer: every digit is a token of its own.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def assemble(model: models.BPE, first_special: int | None = None) -> Tokenizer:
    """A Qwen2 tokenizer around a BPE model."""
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    if first_special is not None:
        tokenizer.add_special_tokens(list(chat.SPECIAL))
    return tokenizer


def load(folder: str) -> Tokenizer:
    """The tokenizer of a checkpoint folder."""
    vocab = json.load(open(os.path.join(folder, "vocab.json"), encoding="utf-8"))
    model = models.BPE.from_file(
        os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt")
    )
    tokenizer = assemble(model, first_special=len(vocab))
    added = json.load(open(os.path.join(folder, "added_tokens.json"), encoding="utf-8"))
    for text, identifier in added.items():
        if tokenizer.token_to_id(text) != identifier:
            raise ValueError(f"{folder}: {text} is not token {identifier}")
    return tokenizer


def byte_symbols() -> list[str]:
    """GPT-2's 256 byte symbols in its order: the first 256 tokens of every Qwen vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]


def train(texts: list[str], size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of `size` base tokens (256 bytes first, then merges in order)."""
    tokenizer = assemble(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=byte_symbols(), show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer)
    merges = [tuple(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    vocab: dict[str, int] = {}
    for symbol in byte_symbols() + [a + b for a, b in merges]:
        vocab.setdefault(symbol, len(vocab))
    return vocab, merges


def save(folder: str, vocab: dict[str, int], merges: list[tuple[str, str]], length: int) -> None:
    """Writes the five files of a Qwen2 tokenizer without `tokenizer.json`."""
    os.makedirs(folder, exist_ok=True)

    def dump(name: str, value: object) -> None:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(value, file, indent=2, ensure_ascii=False)
            file.write("\n")

    def flags(text: str) -> dict:
        return {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
        }

    added = {text: len(vocab) + i for i, text in enumerate(chat.SPECIAL)}
    with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
        json.dump(vocab, file, ensure_ascii=False, separators=(",", ":"))
    with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
        file.write("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    dump("added_tokens.json", added)
    dump("special_tokens_map.json", {"eos_token": flags(chat.END), "pad_token": flags(chat.PAD)})
    dump(
        "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_prefix_space": False,
            "added_tokens_decoder": {
                str(i): {**flags(text), "special": True} for text, i in added.items()
            },
            "bos_token": None,
            "chat_template": chat.TEMPLATE,
            "clean_up_tokenization_spaces": False,
            "eos_token": chat.END,
            "errors": "replace",
            "model_max_length": length,
            "pad_token": chat.PAD,
            "split_special_tokens": False,
            "tokenizer_class": "Qwen2Tokenizer",
            "unk_token": None,
        },
    )
    with open(os.path.join(folder, "chat_template.jinja"), "w", encoding="utf-8") as file:
        file.write(chat.TEMPLATE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs")
    parser.add_argument("folder")
    parser.add_argument("--size", type=int, default=1024, help="tokens without the special ones")
    parser.add_argument("--limit", type=int, default=20000, help="pairs to read")
    options = parser.parse_args()
    texts = [
        f"user\n{query}\n\nassistant\n{response}"
        for query, response in chat.load_pairs(options.pairs)[: options.limit]
    ]
    vocab, merges = train(texts, options.size)
    save(options.folder, vocab, merges, length=512)
    print(f"{len(vocab)} + {len(chat.SPECIAL)} tokens, {len(merges)} merges in {options.folder}")


if __name__ == "__main__":
    main()

"""Learn a byte-pair vocabulary from captions, kept in CLIPTokenizer's own two files, and read it as that tokenizer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import CLIPTokenizer

from data_specs.errors import ContractError

START, END = "<|startoftext|>", "<|endoftext|>"


def learn_vocabulary(captions: Iterable[str], size: int, folder: Path) -> None:
    """Write ``vocab.json`` and ``merges.txt`` of at most ``size`` tokens (Sennrich et al., 2016, on bytes)."""
    reference = CLIPTokenizer(vocab={START: 0, END: 1}, merges=[], unk_token=END)
    tokenizer = Tokenizer(BPE(end_of_word_suffix="</w>", continuing_subword_prefix=""))
    # Words are cut exactly as the stock class will cut them.
    tokenizer.normalizer = reference.backend_tokenizer.normalizer or normalizers.Lowercase()
    tokenizer.pre_tokenizer = reference.backend_tokenizer.pre_tokenizer or pre_tokenizers.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    ordered = sorted(model["vocab"], key=model["vocab"].__getitem__)
    # A byte that ends a word is a token of its own in CLIP; without it an unseen character would have none.
    ordered += [
        f"{byte}</w>" for byte in sorted(pre_tokenizers.ByteLevel.alphabet()) if f"{byte}</w>" not in model["vocab"]
    ]
    vocabulary = {token: number for number, token in enumerate([*ordered, START, END])}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))


def read_tokenizer(folder: Path, length: int) -> CLIPTokenizer:
    """Return the stock tokenizer of a folder that ``learn_vocabulary`` wrote, cutting at ``length`` tokens.

    Raises ContractError if there is none.
    """
    if not (folder / "merges.txt").exists():
        raise ContractError(f"{folder} holds no vocabulary yet; let the reader's stage start first")
    vocabulary = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().split("\n")[1:]
    merges = [tuple(line.split(" ")) for line in lines if line]
    return CLIPTokenizer(vocab=vocabulary, merges=merges, unk_token=END, model_max_length=length)

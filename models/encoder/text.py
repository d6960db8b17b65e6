"""The text tower of CLIP and StableRep+, which turns each caption into one vector.

Legend: C captions, L tokens, D width. A causal pre-norm transformer read at the end-of-text token (arXiv 2103.00020,
section 2.4; StableRep's reference), with the ViT's own blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from data_specs.specs.encoder import EncoderSpec
from models.encoder.heads import initialise
from models.encoder.tokenizer import parse_tokenizer, read_tokenizer
from models.encoder.vit import Block


@dataclass(frozen=True, slots=True)
class TextShape:
    """Everything needed to build a text tower with empty weights."""

    vocabulary: int
    context: int
    width: int
    depth: int
    heads: int
    out: int


class Reader:
    """Turns captions into token ids; one that is too long is cut, but ends with the end-of-text token (as CLIP's does)."""

    def __init__(self, tokenizer_json: str, context: int) -> None:
        """Raises SpecError for a tokenizer that is none, or has no end-of-text token."""
        self._tokenizer, self.end = parse_tokenizer(tokenizer_json)
        self.json, self.context = tokenizer_json, context
        self.vocabulary: int = self._tokenizer.get_vocab_size()
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Token ids [C, L], padded with end-of-text tokens, of which the tower reads the first."""
        tokens_CL = torch.full((len(texts), self.context), self.end)
        for row, found in enumerate(self._tokenizer.encode_batch(list(texts))):
            ids = found.ids[: self.context - 1]
            tokens_CL[row, : len(ids)] = torch.tensor(ids)
        return tokens_CL


class TextTower(nn.Module):
    def __init__(self, shape: TextShape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = nn.Embedding(shape.vocabulary, shape.width)
        self.positions = nn.Parameter(torch.zeros(1, shape.context, shape.width))
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads, causal=True) for _ in range(shape.depth))
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.projection = nn.Linear(shape.width, shape.out, bias=False)
        nn.init.normal_(self.embedding.weight, std=0.02)
        nn.init.normal_(self.positions, std=0.01)
        initialise(self)

    def forward(self, tokens_CL: Tensor, end: int) -> Tensor:
        states_CLD = self.embedding(tokens_CL) + self.positions
        for block in self.blocks:
            states_CLD = block(states_CLD)
        # The first end, whatever else has a larger id (CLIP takes the largest id, which breaks with other vocabularies).
        at_C = (tokens_CL == end).int().argmax(1)
        return cast(Tensor, self.projection(self.norm(states_CLD[torch.arange(len(at_C)), at_C])))


def reader_of(spec: EncoderSpec) -> Reader:
    """Raises SpecError if the folder holds no usable tokenizer."""
    return Reader(read_tokenizer(spec), spec.text_context)


def text_tower_of(spec: EncoderSpec, reader: Reader) -> TextTower:
    shape = TextShape(
        reader.vocabulary, spec.text_context, spec.text_width, spec.text_depth, spec.text_heads, spec.text_out
    )
    return TextTower(shape)

"""Complete texts and chats with any causal language model that transformers loads. Slow, but it runs everywhere.

Each row of a batch samples its own tokens, from uniform numbers that depend on its seed alone. Its neighbours can change it
only through the rounding of batched sums.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LogitsProcessor

from data_specs.errors import EngineError, SpecError, in_one_line
from data_specs.model_identity import ModelIdentity
from data_specs.specs.language_model import LanguageModelSpec
from models.captioner.chat import begins_reasoning, encode_turns, said
from models.captioner.nucleus import keep_nucleus
from models.captioner.protocol import Ask
from models.memory import give_back, is_out_of_memory
from models.weights import passes

BATCH = 64
"""Prompts in one call at first; a batch that does not fit is halved."""
logger = logging.getLogger("synclr")


class TransformersCaptioner:
    """On a GPU if there is one. Its memory is free when the process ends."""

    def __init__(self, weights: str, identity: ModelIdentity, spec: LanguageModelSpec) -> None:
        self.model = identity
        self._spec, self._batch = spec, BATCH
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        source = {"local_files_only": True} if Path(weights).is_dir() else {"revision": identity.revision}
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(weights, padding_side="left", **source)
            model: Any = AutoModelForCausalLM.from_pretrained(
                weights, dtype=getattr(torch, spec.dtype), use_safetensors=True, **source
            )
            self._model = model.to(self._device).eval()
        except (ValueError, OSError, KeyError) as error:
            if passes(error):
                raise EngineError(
                    f"{spec.at}.model: {identity.id!r} did not load: {in_one_line(error, 400)}"
                ) from error
            raise SpecError(
                f"{spec.at}.model: transformers cannot load {identity.id!r}: {in_one_line(error, 400)}"
            ) from error
        except Exception as error:
            raise EngineError(f"{spec.at}.model: {identity.id!r} did not start: {in_one_line(error, 400)}") from error
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        # The temperature, penalties and the like in the model's folder are ignored: the recipe sets them all.
        eos = self._model.generation_config.eos_token_id
        self._model.generation_config = GenerationConfig(eos_token_id=eos)
        self._ends = {token for token in ([eos] if isinstance(eos, int) else eos or []) if token is not None}
        # The end of a turn, which some folders name in the tokenizer alone. vLLM stops at it by itself.
        self._ends_of_turns = {*self._ends, self._tokenizer.eos_token_id} - {None}

    def complete(self, asks: Sequence[Ask]) -> list[str]:
        self._require_space(asks)
        texts: list[str] = []
        while len(texts) < len(asks):
            batch = asks[len(texts) : len(texts) + self._batch]
            try:
                texts += self._continued(batch)
                continue
            except (RuntimeError, ValueError, MemoryError) as error:
                if not is_out_of_memory(error) or len(batch) == 1:
                    raise EngineError(
                        f"{self.model.id!r} failed on {len(batch)} prompts: {in_one_line(error, 400)}"
                    ) from error
                logger.warning("out of memory: %d prompts do not fit, going on with half", len(batch))
            # Outside of `except`, whose traceback holds the tensors of the batch that failed.
            self._batch = len(batch) // 2
            give_back()
        return texts

    def _tokens(self, ask: Ask) -> list[int]:
        if isinstance(ask.prompt, str):
            return list(self._tokenizer(ask.prompt).input_ids)
        return encode_turns(self._tokenizer, ask.prompt, f"{self._spec.at}.chat")

    def _require_space(self, asks: Sequence[Ask]) -> None:
        longest: int = getattr(self._model.config, "max_position_embeddings", 0)
        for ask in asks if longest else ():
            tokens = len(self._tokens(ask))
            if tokens + self._spec.max_tokens > longest:
                raise SpecError(
                    f"{self._spec.at}: a prompt of {tokens} tokens and {self._spec.max_tokens} of max_tokens are more than "
                    f"the {longest} that {self.model.id!r} reads"
                )

    @torch.inference_mode()
    def _continued(self, asks: Sequence[Ask]) -> list[str]:
        prompts, chat = [self._tokens(ask) for ask in asks], not isinstance(asks[0].prompt, str)
        read = self._tokenizer.pad({"input_ids": prompts}, return_tensors="pt").to(self._device)
        start = read.input_ids.shape[1]
        draws = [_Draws(asks, self._spec, start)] if self._spec.temperature else []
        ends: dict[str, Any] = {"stop_strings": ["\n"], "tokenizer": self._tokenizer}
        if chat:
            ends = {"eos_token_id": sorted(self._ends_of_turns) or None}
        tokens_NT = self._model.generate(
            **read,
            logits_processor=draws,
            do_sample=False,  # of the one token that each row has drawn
            max_new_tokens=self._spec.max_tokens,
            pad_token_id=self._tokenizer.pad_token_id,
            **ends,
        )
        rows = tokens_NT[:, start:].tolist()
        if not chat:
            return [self._line(row) for row in rows]
        reasoning = begins_reasoning(self._tokenizer, prompts[0])
        return [self._answer(row, reasoning=reasoning) for row in rows]

    def _line(self, tokens: list[int]) -> str:
        line, broken, _ = self._text(tokens).partition("\n")
        return line + ("\n" if broken or not self._ends.isdisjoint(tokens) else "")

    def _answer(self, tokens: list[int], *, reasoning: bool) -> str:
        return said(self._text(tokens), ended=not self._ends_of_turns.isdisjoint(tokens), reasoning=reasoning)

    def _text(self, tokens: list[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False))


class _Draws(LogitsProcessor):  # type: ignore[misc, unused-ignore]
    """Masks all tokens of a row but the one that its own number picks from the nucleus, in the order of the vocabulary."""

    def __init__(self, asks: Sequence[Ask], spec: LanguageModelSpec, start: int) -> None:
        numbers = [
            torch.rand(spec.max_tokens, generator=torch.Generator().manual_seed(ask.seed), dtype=torch.float64)
            for ask in asks
        ]
        self._numbers_NT, self._start, self._spec = torch.stack(numbers), start, spec

    def __call__(self, tokens_NT: torch.Tensor, logits_NV: torch.Tensor) -> torch.Tensor:
        nucleus_NV = keep_nucleus(logits_NV.float() / self._spec.temperature, self._spec.top_p)
        up_to_NV = nucleus_NV.double().softmax(dim=-1).cumsum(dim=-1)
        numbers_N = self._numbers_NT[:, tokens_NT.shape[1] - self._start].to(logits_NV.device)
        picked_N = torch.searchsorted(up_to_NV, (numbers_N * up_to_NV[:, -1])[:, None], right=True)
        return torch.full_like(logits_NV, -torch.inf).scatter_(-1, picked_N, 0.0)

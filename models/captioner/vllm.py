"""Complete texts and chats with any causal language model that vLLM loads.

Measured with vLLM 0.32: the same asks give the same text after other asks, in another process and on a loaded machine,
if (1) the engine runs in this process, since a child accepts requests whenever they arrive; (2) no prefix is cached from
earlier calls: the cache serves one call and is reset before the next; (3) prompts are read whole, which seeds need too: on
CPU a prompt read in chunks ends in "CPU Generator does not use offset".
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Before torch and vLLM are imported, which read these on import.
os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
for _name, _value in {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB; CPU only. 135M parameters, 256 captions at once: 0.9
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait: 1.8 instead of 8 captions/s on a loaded machine
    "TQDM_DISABLE": "1",
    "GLOO_SOCKET_IFNAME": "lo",  # or it listens wherever this host's name leads
}.items():
    os.environ.setdefault(_name, _value)

import torch  # noqa: E402
from vllm import LLM, SamplingParams  # noqa: E402
from vllm.exceptions import VLLMValidationError  # noqa: E402
from vllm.platforms import current_platform  # noqa: E402
from vllm.v1.sample.logits_processor import LogitsProcessor  # noqa: E402

from data_specs.errors import EngineError, SpecError, in_one_line  # noqa: E402
from data_specs.model_identity import ModelIdentity  # noqa: E402
from data_specs.specs.language_model import LanguageModelSpec  # noqa: E402
from models.captioner.chat import begins_reasoning, encode_turns, said  # noqa: E402
from models.captioner.nucleus import keep_nucleus  # noqa: E402
from models.captioner.protocol import Ask  # noqa: E402
from models.weights import passes  # noqa: E402

CPU_BLOCK = 32
"""Tokens in a block of the prefix cache, which keeps whole blocks; vLLM's 128 on CPU are more than most prompts have."""


class VllmCaptioner:
    """One engine in this process; its memory is free when the process ends."""

    def __init__(self, weights: str, identity: ModelIdentity, spec: LanguageModelSpec) -> None:
        self.model = identity
        self._spec = spec
        # The class made for it cannot be pickled for the processes of tensor parallelism.
        own_nucleus = current_platform.is_cpu() and spec.top_p < 1 and spec.tensor_parallel == 1
        self._top_p = 1.0 if own_nucleus else spec.top_p
        local = Path(weights).is_dir()
        if local:
            os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            self._llm: Any = LLM(
                weights,
                revision=None if local else identity.revision,
                dtype=spec.dtype,
                load_format="safetensors",  # never pickles, which vLLM would load where there is nothing else
                max_model_len=spec.max_model_len,
                tensor_parallel_size=spec.tensor_parallel,
                **({} if spec.gpu_memory is None else {"gpu_memory_utilization": spec.gpu_memory}),
                enforce_eager=True,
                enable_prefix_caching=True,
                block_size=CPU_BLOCK if current_platform.is_cpu() else None,
                enable_chunked_prefill=False,
                disable_log_stats=True,
                logits_processors=[_nucleus(spec.top_p)] if own_nucleus else None,
                seed=0,
            )
        except (ValueError, OSError) as error:
            if passes(error):
                raise EngineError(
                    f"{spec.at}.model: {identity.id!r} did not load: {in_one_line(error, 400)}"
                ) from error
            raise SpecError(f"{spec.at}.model: vLLM cannot load {identity.id!r}: {in_one_line(error, 400)}") from error
        except Exception as error:
            raise EngineError(
                f"{spec.at}.model: vLLM did not start with {identity.id!r}: {in_one_line(error, 400)}"
            ) from error

    def complete(self, asks: Sequence[Ask]) -> list[str]:
        if not asks:
            return []
        chat = not isinstance(asks[0].prompt, str)
        settings = [
            SamplingParams(
                temperature=self._spec.temperature,
                top_p=self._top_p,
                max_tokens=self._spec.max_tokens,
                seed=ask.seed,
                stop=None if chat else ["\n"],
            )
            for ask in asks
        ]
        prompts = [self._prompt(ask) for ask in asks]
        try:
            if not self._llm.reset_prefix_cache():
                raise RuntimeError("prompts of an earlier call are still in work")
            outputs = self._llm.generate(prompts, settings, use_tqdm=False)
        except (ValueError, VLLMValidationError) as error:
            raise SpecError(
                f"{self._spec.at}: {self.model.id!r} refused a prompt: {in_one_line(error, 400)}"
            ) from error
        except Exception as error:
            raise EngineError(f"{self.model.id!r} failed on {len(asks)} prompts: {in_one_line(error, 400)}") from error
        longest = max(len(output.prompt_token_ids) for output in outputs)
        if longest + self._spec.max_tokens > self._spec.max_model_len:
            # vLLM would cut such a completion short, and a cut one is asked for again and again.
            raise SpecError(
                f"{self._spec.at}: a prompt of {longest} tokens and max_tokens={self._spec.max_tokens} are more than "
                f"max_model_len={self._spec.max_model_len}; raise it, or shorten the examples"
            )
        if not chat:
            return [_line(output.outputs[0]) for output in outputs]
        reasoning = begins_reasoning(self._llm.get_tokenizer(), outputs[0].prompt_token_ids)
        return [_answer(output.outputs[0], reasoning=reasoning) for output in outputs]

    def _prompt(self, ask: Ask) -> str | dict[str, list[int]]:
        if isinstance(ask.prompt, str):
            return ask.prompt
        # Not `LLM.chat`: the same tokens as in transformers, whatever form of contents vLLM finds in a template.
        return {"prompt_token_ids": encode_turns(self._llm.get_tokenizer(), ask.prompt, f"{self._spec.at}.chat")}


def _line(completion: Any) -> str:
    """With a line break at its end, unless it was cut at `max_tokens`."""
    return str(completion.text) + ("\n" if completion.finish_reason == "stop" else "")


def _answer(completion: Any, *, reasoning: bool) -> str:
    return said(str(completion.text), ended=completion.finish_reason == "stop", reasoning=reasoning)


def _nucleus(top_p: float) -> type[LogitsProcessor]:
    """A processor that vLLM applies after the temperature; one `top_p` for the whole engine."""

    class Nucleus(LogitsProcessor):  # type: ignore[misc, unused-ignore]
        def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
            pass

        def is_argmax_invariant(self) -> bool:
            return True

        def update_state(self, batch_update: Any) -> None:
            pass

        def apply(self, logits: torch.Tensor) -> torch.Tensor:
            return keep_nucleus(logits, top_p)

    return Nucleus

"""Captions per second through the captions room against raw `LLM.generate`, and packed prompts against unpacked, in one process.

The sides alternate, so that other work on the machine slows all alike; each figure is a median over shards.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from vllm import SamplingParams

from data_specs.concept import Concept
from data_specs.model_identity import ModelIdentity
from data_specs.run import CaptionsSpec, LanguageModelSpec
from data_specs.shard import ShardAddress
from flows.recipes import resolve
from models.captioner.build import identify_captioner
from models.captioner.protocol import Ask
from models.captioner.smollm2 import smollm2_folder
from models.captioner.vllm import VllmCaptioner
from tasks.captions.compose import compose_shard
from tasks.concepts.ingest import ingest

SHARDS = 5
UNPACKED = 1


class Listening:
    """Hands on every ask to the engine, and keeps what was asked."""

    def __init__(self, engine: VllmCaptioner) -> None:
        self._engine = engine
        self.model: ModelIdentity = engine.model
        self.calls: list[Sequence[Ask]] = []

    def complete(self, asks: Sequence[Ask]) -> list[str]:
        self.calls.append(asks)
        return self._engine.complete(asks)

    @property
    def asked(self) -> int:
        return sum(map(len, self.calls))


def room(
    engine: VllmCaptioner, concepts: list[Concept], spec: CaptionsSpec, shard: int
) -> tuple[float, Listening, int]:
    """Seconds of the room's whole work on one shard (plan, ask, screen, ask again, write, seal), what it asked and kept."""
    listening = Listening(engine)
    with tempfile.TemporaryDirectory() as folder:
        address = ShardAddress(folder=folder, room="captions", lineage="a", index=shard)
        started = time.perf_counter()
        manifest = compose_shard(concepts, address, listening, spec, seed=0)
        return time.perf_counter() - started, listening, manifest.accepted


def raw(engine: VllmCaptioner, spec: LanguageModelSpec, calls: Sequence[Sequence[Ask]]) -> tuple[float, float]:
    """Seconds of `LLM.generate` alone, and the share of prompt tokens that vLLM counts as found in its prefix cache."""
    llm: Any = engine._llm
    read = found = 0
    started = time.perf_counter()
    for asks in calls:
        llm.reset_prefix_cache()
        settings = [
            SamplingParams(
                temperature=spec.temperature,
                top_p=engine._top_p,
                max_tokens=spec.max_tokens,
                seed=ask.seed,
                stop=["\n"],
            )
            for ask in asks
        ]
        for output in llm.generate([ask.prompt for ask in asks], settings, use_tqdm=False):
            read, found = read + len(output.prompt_token_ids), found + (output.num_cached_tokens or 0)
    return time.perf_counter() - started, found / read


def main() -> None:
    recipe = resolve("tiny")
    spec = recipe.captions
    concepts = [outcome for outcome in ingest(recipe.concepts) if isinstance(outcome, Concept)]
    engine = VllmCaptioner(str(smollm2_folder()), identify_captioner(spec), spec)
    rounds = []
    for shard in range(SHARDS + 1):  # the first warms the engine and is dropped
        seconds, packed, kept = room(engine, concepts, spec, shard)
        raw_seconds, hits = raw(engine, spec, packed.calls)
        at_once_seconds, _ = raw(engine, spec, [[ask for asks in packed.calls for ask in asks]])
        loose_seconds, loose, _ = room(engine, concepts, spec.model_copy(update={"packing": UNPACKED}), shard)
        _, loose_hits = raw(engine, spec, loose.calls)
        rounds.append(
            {
                "kept_per_second": kept / seconds,
                "asked_per_second": packed.asked / seconds,
                "raw_asked_per_second": packed.asked / raw_seconds,
                "ratio": raw_seconds / seconds,
                "ratio_to_all_asks_in_one_call": at_once_seconds / seconds,
                "hits": hits,
                "hits_unpacked": loose_hits,
                "gain_of_packing": (loose_seconds / loose.asked) / (seconds / packed.asked),
            }
        )
    medians = {name: round(statistics.median(found[name] for found in rounds[1:]), 3) for name in rounds[0]}
    figures = {"benchmark": "captions", "model": engine.model.id, "per_shard": spec.per_shard, "packing": spec.packing}
    print(json.dumps(figures | {"shards": SHARDS} | medians), flush=True)


if __name__ == "__main__":
    main()

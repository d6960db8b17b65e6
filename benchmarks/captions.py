"""Measure captions a second through the captions stage against raw `LLM.generate`, and packed prompts against unpacked.

All in one process. The sides alternate, call by call, so that other work on the machine slows all alike; each figure is a
median over shards. CPU seconds are given beside the clock's: on a shared machine they are the steadier ones. Packing is
measured on first attempts.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vllm import SamplingParams

from data_specs.concept import Concept
from data_specs.model_identity import ModelIdentity
from data_specs.prompt_set import PromptSet
from data_specs.shard import ShardAddress
from data_specs.specs.captions import CaptionsSpec
from data_specs.specs.language_model import LanguageModelSpec
from flows.runs.recipes import resolve_recipe
from models.captioner.build import identify_captioner
from models.captioner.protocol import Ask
from models.captioner.smollm2 import smollm2_folder
from models.captioner.vllm import VllmCaptioner
from tasks.captions.compose import CaptionInputs, compose_shard
from tasks.captions.planning import Planner, ask_seed, examples_for
from tasks.captions.prompt_files import load_prompts
from tasks.captions.prompts import write_prompt
from tasks.captions.unsafe_words import load_unsafe_words
from tasks.concepts.ingest import concepts_of, ingest, ingest_table

SHARDS = 5


@dataclass
class Seconds:
    """Of a `with` block: by the clock, and of this process on any core."""

    clock: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> "Seconds":
        self.clock, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *failure: object) -> None:
        self.clock, self.cpu = time.perf_counter() - self.clock, time.process_time() - self.cpu


class PairedCaptioner:
    """Hands every call to the engine, and to raw `LLM.generate` right before or right after it, in turns."""

    def __init__(self, engine: VllmCaptioner, spec: LanguageModelSpec) -> None:
        self._engine, self._spec = engine, spec
        self.model: ModelIdentity = engine.model
        self.calls: list[Sequence[Ask]] = []
        self.raw: list[Seconds] = []

    def complete(self, asks: Sequence[Ask]) -> list[str]:
        self.calls.append(asks)
        if len(self.calls) % 2:
            self.raw.append(raw(self._engine, self._spec, asks)[0])
            return self._engine.complete(asks)
        completions = self._engine.complete(asks)
        self.raw.append(raw(self._engine, self._spec, asks)[0])
        return completions


def staged(
    engine: VllmCaptioner, inputs: CaptionInputs, spec: CaptionsSpec, shard: int
) -> tuple[Seconds, PairedCaptioner, int]:
    """The stage's whole work on a shard (plan, ask, screen, ask again, write, seal) without raw calls; captions kept."""
    captioner = PairedCaptioner(engine, spec)
    with tempfile.TemporaryDirectory() as folder:
        address = ShardAddress(folder=folder, stage="captions", lineage="a", index=shard)
        with Seconds() as whole:
            manifest = compose_shard(inputs, address, captioner, spec, seed=0)
    aside = total(captioner.raw)
    return Seconds(whole.clock - aside.clock, whole.cpu - aside.cpu), captioner, manifest.accepted


def total(parts: Sequence[Seconds]) -> Seconds:
    return Seconds(sum(part.clock for part in parts), sum(part.cpu for part in parts))


def raw(engine: VllmCaptioner, spec: LanguageModelSpec, asks: Sequence[Ask]) -> tuple[Seconds, float]:
    """`LLM.generate` alone, and the share of prompt tokens that vLLM counts as found in its prefix cache."""
    llm: Any = engine._llm
    with Seconds() as seconds:
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
        outputs = llm.generate([ask.prompt for ask in asks], settings, use_tqdm=False)
    read = sum(len(output.prompt_token_ids) for output in outputs)
    return seconds, sum(output.num_cached_tokens or 0 for output in outputs) / read


def main() -> None:
    recipe = resolve_recipe("tiny")
    spec, entries = recipe.captions, ingest(recipe.concepts)
    engine = VllmCaptioner(str(smollm2_folder()), identify_captioner(spec), spec)
    with tempfile.TemporaryDirectory() as folder:
        table = ShardAddress(folder=folder, stage="concepts", lineage="a", index=0)
        ingest_table(table, entries, (), recipe.concepts)
        inputs = CaptionInputs(table, load_prompts(spec.prompts), load_unsafe_words(spec.unsafe_words))
        # The first shard warms the engine and is dropped.
        rounds = [measured(engine, inputs, concepts_of(entries), spec, shard) for shard in range(SHARDS + 1)]
    medians = {name: round(statistics.median(found[name] for found in rounds[1:]), 3) for name in rounds[0]}
    figures = {"benchmark": "captions", "model": engine.model.id, "per_shard": spec.per_shard, "packing": spec.packing}
    print(json.dumps(figures | {"shards": SHARDS} | medians), flush=True)


def measured(
    engine: VllmCaptioner, inputs: CaptionInputs, concepts: Sequence[Concept], spec: CaptionsSpec, shard: int
) -> dict[str, float]:
    """The figures of one shard."""
    whole, captioner, kept = staged(engine, inputs, spec, shard)
    bare, asked = total(captioner.raw), sum(map(len, captioner.calls))
    unpacked = spec.model_copy(update={"packing": 1})
    together, hits = raw(engine, spec, captioner.calls[0])
    apart, loose_hits = raw(engine, spec, first_asks(concepts, inputs.prompts, unpacked, shard))
    at_once, _ = raw(engine, spec, [ask for asks in captioner.calls for ask in asks])
    return {
        "kept_per_second": kept / whole.clock,
        "asked_per_second": asked / whole.clock,
        "raw_asked_per_second": asked / bare.clock,
        "ratio": bare.clock / whole.clock,
        "ratio_cpu": bare.cpu / whole.cpu,
        "ratio_cpu_to_one_call_for_all_attempts": at_once.cpu / whole.cpu,
        "prefix_hits": hits,
        "prefix_hits_unpacked": loose_hits,
        "gain_of_packing": apart.clock / together.clock,
        "gain_of_packing_cpu": apart.cpu / together.cpu,
    }


def first_asks(concepts: Sequence[Concept], prompts: PromptSet, spec: CaptionsSpec, shard: int) -> list[Ask]:
    """The first attempt at every slot, packs together, as the stage asks."""
    planner = Planner(concepts, spec, 0)
    plans = sorted(
        (planner.plan(shard, slot) for slot in range(spec.per_shard)), key=lambda plan: (plan.prompt_kind, plan.pack)
    )
    return [
        Ask(
            write_prompt(plan, prompts.pool(plan.prompt_kind).header, examples_for(plan, prompts, 0, 0)),
            ask_seed(plan, 0, 0),
        )
        for plan in plans
    ]


if __name__ == "__main__":
    main()

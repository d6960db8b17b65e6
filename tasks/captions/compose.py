"""Compose shards of captions from the concept table: an LLM is asked about each slot until a caption passes the screen."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from data_specs.caption import CONTRACT, Caption, Sampling
from data_specs.concept import Concept, from_row
from data_specs.errors import SpecError
from data_specs.ids import caption_id
from data_specs.prompt_set import PromptSet
from data_specs.rejection import Rejection
from data_specs.shard import UNNAMED, MadeBy, ShardAddress, ShardManifest
from data_specs.specs.captions import CaptionsSpec
from models.captioner.build import build_captioner
from models.captioner.protocol import Ask, Captioner, prompt_digest
from tasks.bundles import Work, require_planned
from tasks.captions.chat_advice import chat_advice
from tasks.captions.near_duplicates import AcceptedCaptions
from tasks.captions.planning import CaptionPlan, Planner, ask_seed, examples_for
from tasks.captions.prompts import prompt_for, write_example
from tasks.captions.screening import Refusal, Screen
from tasks.captions.unsafe_words import UnsafeWords
from tasks.claimed_shards import missing_first
from tasks.engines import EngineProcess, loaded
from tasks.events import Advanced, Emit, Notice, ignore
from tasks.shards import make_shard, read_rows


@dataclass(frozen=True, slots=True)
class CaptionInputs:
    """`concepts` is the sealed table. Prompts and unsafe words were read when the stage began: files may change meanwhile."""

    concepts: ShardAddress
    prompts: PromptSet
    unsafe_words: UnsafeWords


def compose(
    plans: Sequence[CaptionPlan],
    prompts: PromptSet,
    unsafe: UnsafeWords,
    captioner: Captioner,
    spec: CaptionsSpec,
    seed: int,
) -> Iterator[Caption | Rejection]:
    """Yields refusals as they happen, then the captions in slot order, with `exhausted` for each slot that has none.

    So requested = captions + refusals other than `exhausted`, and planned = captions + `exhausted`. All open slots of an
    attempt go to the engine in one call, packs together, so a shard's content depends on its plans alone.
    """
    screen = Screen(spec, prompts, unsafe)
    kept: dict[int, Caption] = {}
    accepted = AcceptedCaptions(spec.near_duplicates)
    refused: dict[int, list[str]] = {plan.slot: [] for plan in plans}
    for attempt in range(spec.attempts):
        open_plans = [plan for plan in plans if plan.slot not in kept]
        if not open_plans:
            break
        attempts = [_Attempt(plan, prompts, seed, attempt, chat=spec.chat) for plan in open_plans]
        for each, completion in _completed(attempts, captioner):
            found = screen.verdict(completion, each.plan)
            if isinstance(found, str) and (copied := accepted.refuses(found)):
                found = Refusal(copied, found)
            if isinstance(found, Refusal):
                refused[each.plan.slot].append(found.reason)
                yield Rejection(f"{_slot_key(each.plan)}-{attempt}", found.reason, found.text)
            else:
                accepted.add(found)
                kept[each.plan.slot] = each.caption(found, captioner, spec)
    for plan in plans:
        if caption := kept.get(plan.slot):
            yield caption
        else:
            yield Rejection(_slot_key(plan), "exhausted", ", ".join(refused[plan.slot]))


def _completed(attempts: Sequence["_Attempt"], captioner: Captioner) -> Iterator[tuple["_Attempt", str]]:
    """In slot order. Prompts that begin alike are sent one after the other, while the engine still caches their prefix."""
    packed = sorted(attempts, key=lambda each: (each.plan.prompt_kind, each.plan.pack))
    completions = captioner.complete([Ask(each.prompt, each.seed) for each in packed])
    answered = zip(packed, completions, strict=True)
    return iter(sorted(answered, key=lambda answer: answer[0].plan.slot))


class _Attempt:
    """One attempt at one plan: its examples, prompt and seed; makes the caption's record if it succeeds."""

    def __init__(self, plan: CaptionPlan, prompts: PromptSet, seed: int, attempt: int, *, chat: bool) -> None:
        examples = examples_for(plan, prompts, seed, attempt)
        self.plan = plan
        self.prompt = prompt_for(plan, prompts, examples, chat=chat)
        self.seed = ask_seed(plan, seed, attempt)
        self._lines = tuple(write_example(example, with_other=plan.other is not None) for example in examples)
        self._run_seed, self._attempt = seed, attempt

    def caption(self, text: str, captioner: Captioner, spec: CaptionsSpec) -> Caption:
        plan = self.plan
        return Caption(
            id=caption_id(plan.concept.id, self._run_seed, plan.shard, plan.slot, text),
            text=text,
            concept_id=plan.concept.id,
            concept=plan.concept.name,
            kind=plan.concept.kind,
            category=plan.concept.category,
            strategy=plan.strategy,
            background=plan.background,
            relation=plan.relation,
            other=plan.other,
            examples=self._lines,
            prompt_digest=prompt_digest(self.prompt),
            model=captioner.model,
            sampling=Sampling(spec.temperature, spec.top_p, spec.max_tokens),
            seed=self.seed,
            shard=plan.shard,
            slot=plan.slot,
            attempt=self._attempt,
        )


def compose_shard(
    inputs: CaptionInputs,
    address: ShardAddress,
    captioner: Captioner,
    spec: CaptionsSpec,
    *,
    seed: int,
    made_by: MadeBy = UNNAMED,
    emit: Emit = ignore,
) -> ShardManifest:
    """Asks nothing for a shard that is sealed already. Raises SpecError, and seals nothing, below `min_kept`."""

    def outcomes() -> Iterator[Caption | Rejection]:
        planner = Planner(_concepts(inputs.concepts), spec, seed)
        plans = [planner.plan(address.index, slot) for slot in range(spec.per_shard)]
        yield from compose(plans, inputs.prompts, inputs.unsafe_words, captioner, spec, seed)

    def check(kept: int, refused: Counter[str]) -> None:
        advice = chat_advice(kept, refused, spec)
        _require_enough(kept, refused, address, spec, advice)
        if advice:
            emit(Notice(made_by.run, address.stage, advice))

    return make_shard(address, CONTRACT, outcomes, made_by=made_by, emit=emit, check=check)


@lru_cache(maxsize=1)
def _concepts(table: ShardAddress) -> Sequence[Concept]:
    """Read once a process: the table of a run is the same for all its shards."""
    return [from_row(row) for row in read_rows(table).to_pylist()]


def compose_here(work: Work[CaptionsSpec, CaptionInputs], index: int, *, emit: Emit = ignore) -> ShardManifest:
    """In an engine's process: the model is loaded for the first shard and kept for the others."""
    captioner = loaded(build_captioner, work.settings)
    require_planned(work.stage, "model", captioner.model)
    address, seed, made_by = work.stage.shard(index), work.seed, work.made_by
    return compose_shard(work.inputs, address, captioner, work.settings, seed=seed, made_by=made_by, emit=emit)


def compose_bundle(work: Work[CaptionsSpec, CaptionInputs], engine: EngineProcess, emit: Emit) -> int:
    """Makes the shards one after the other in one engine process; returns how many captions were made."""
    total = 0
    for address in missing_first(work.shards, work.made_by, emit):
        manifest = engine.call(compose_here, work, address.index, emit=emit)
        total += manifest.accepted
        emit(Advanced(work.made_by.run, work.stage.name, work.settings.per_shard))
    return total


def _require_enough(
    kept: int, refused: Counter[str], address: ShardAddress, spec: CaptionsSpec, advice: str | None
) -> None:
    if kept < spec.min_kept * spec.per_shard:
        reasons = ", ".join(f"{reason} {count}" for reason, count in refused.most_common() if reason != "exhausted")
        raise SpecError(
            f"{address.stem}: {kept} of {spec.per_shard} captions kept after {spec.attempts} attempts, less than "
            f"captions.min_kept={spec.min_kept:g} wants; refused: {reasons}; "
            f"{advice or 'raise attempts, lower min_kept, or change model or prompts'}"
        )


def _slot_key(plan: CaptionPlan) -> str:
    return f"{plan.concept.id}-{plan.shard:06d}-{plan.slot:05d}"

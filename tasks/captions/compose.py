"""Compose one shard of captions from the concept table: as many as planned, each slot asked again until it is kept."""

from collections import Counter
from collections.abc import Iterator, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs.caption import CONTRACT, Caption, Sampling
from data_specs.concept import Concept, from_row
from data_specs.errors import SpecError
from data_specs.ids import caption_id
from data_specs.prompt_set import PromptSet
from data_specs.rejection import Rejection
from data_specs.run import CaptionsSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.captioner.build import build_captioner
from models.captioner.protocol import Ask, Captioner
from tasks.bundles import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.captions.near_duplicates import Kept
from tasks.captions.planning import Plan, Planner, ask_seed, examples_for
from tasks.captions.prompt_files import load_prompts
from tasks.captions.prompts import prompt_digest, write_example, write_prompt
from tasks.captions.screening import Refusal, Screen
from tasks.captions.unsafe_words import load_unsafe_words
from tasks.engines import EngineProcess, loaded
from tasks.events import Advanced, tell
from tasks.shards import make_shard, missing_first, read_rows


def compose(
    plans: Sequence[Plan], prompts: PromptSet, captioner: Captioner, spec: CaptionsSpec, seed: int
) -> Iterator[Caption | Rejection]:
    """Every refusal as it happens, then the captions in slot order, `exhausted` in place of a slot that has none.

    So asked = captions + refusals other than `exhausted`, and planned = captions + `exhausted`. All open slots of an
    attempt go to the engine in one call, packs together, so a shard follows from its plans alone.
    """
    screen = Screen(spec, prompts, load_unsafe_words(spec.unsafe_words))
    kept: dict[int, Caption] = {}
    known = Kept(spec.near_duplicates)
    refused: dict[int, list[str]] = {plan.slot: [] for plan in plans}
    for attempt in range(spec.attempts):
        open_plans = [plan for plan in plans if plan.slot not in kept]
        if not open_plans:
            break
        written = [_Written(plan, prompts, seed, attempt) for plan in open_plans]
        for each, completion in _completed(written, captioner):
            found = screen.verdict(completion, each.plan)
            if isinstance(found, str) and (copied := known.refuses(found)):
                found = Refusal(copied, found)
            if isinstance(found, Refusal):
                refused[each.plan.slot].append(found.reason)
                yield Rejection(f"{_slot_key(each.plan)}-{attempt}", found.reason, found.text)
            else:
                known.keep(found)
                kept[each.plan.slot] = each.caption(found, captioner, spec)
    for plan in plans:
        if caption := kept.get(plan.slot):
            yield caption
        else:
            yield Rejection(_slot_key(plan), "exhausted", ", ".join(refused[plan.slot]))


def _completed(written: Sequence["_Written"], captioner: Captioner) -> Iterator[tuple["_Written", str]]:
    """In slot order; prompts that begin alike are asked one after the other, while the engine still holds their beginning."""
    packed = sorted(written, key=lambda each: (each.plan.prompt_kind, each.plan.pack))
    completions = captioner.complete([Ask(each.prompt, each.seed) for each in packed])
    answered = zip(packed, completions, strict=True)
    return iter(sorted(answered, key=lambda answer: answer[0].plan.slot))


class _Written:
    """One attempt at one plan: its examples, prompt and seed, and the caption if it succeeds."""

    def __init__(self, plan: Plan, prompts: PromptSet, seed: int, attempt: int) -> None:
        examples = examples_for(plan, prompts, seed, attempt)
        self.plan = plan
        self.prompt = write_prompt(plan, prompts.pool(plan.prompt_kind).header, examples)
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
    concepts: Sequence[Concept],
    address: ShardAddress,
    captioner: Captioner,
    spec: CaptionsSpec,
    *,
    seed: int,
    run: str = "",
) -> ShardManifest:
    """Nothing is asked for a shard that is sealed already. Raises SpecError, and seals nothing, below `min_kept`."""

    def outcomes() -> Iterator[Caption | Rejection]:
        planner = Planner(concepts, spec, seed)
        plans = [planner.plan(address.index, slot) for slot in range(spec.per_shard)]
        yield from compose(plans, load_prompts(spec.prompts), captioner, spec, seed)

    return make_shard(address, CONTRACT, outcomes, run=run, check=lambda kept, why: _check(kept, why, address, spec))


def compose_here(
    table: ShardAddress, address: ShardAddress, spec: CaptionsSpec, *, seed: int, run: str
) -> ShardManifest:
    """In an engine's process: the model is loaded for the first shard and kept for the others."""
    concepts = [from_row(row) for row in read_rows(table).to_pylist()]
    return compose_shard(concepts, address, loaded(build_captioner, spec), spec, seed=seed, run=run)


@task(
    name="compose a bundle of caption shards",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def compose_bundle(
    table: ShardAddress,
    addresses: Sequence[ShardAddress],
    spec: CaptionsSpec,
    engine: EngineProcess,
    *,
    seed: int,
    run: str,
) -> int:
    """Shards of a bundle one after the other in one engine process; returns how many captions were made."""
    total = 0
    for address in missing_first(addresses):
        manifest = engine.call(compose_here, table, address, spec, seed=seed, run=run)
        tell(Advanced("captions", spec.per_shard))
        total += manifest.accepted
    return total


def _check(kept: int, refused: Counter[str], address: ShardAddress, spec: CaptionsSpec) -> None:
    if kept < spec.min_kept * spec.per_shard:
        reasons = ", ".join(f"{reason} {count}" for reason, count in refused.most_common() if reason != "exhausted")
        raise SpecError(
            f"{address.stem}: {kept} of {spec.per_shard} captions kept after {spec.attempts} attempts, less than "
            f"captions.min_kept={spec.min_kept:g} wants; refused: {reasons}; raise attempts, lower "
            "min_kept, or change model or prompts"
        )


def _slot_key(plan: Plan) -> str:
    return f"{plan.concept.id}-{plan.shard:06d}-{plan.slot:05d}"

"""Have an LLM write backgrounds for shards of objects: each object is asked about until it has enough of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from data_specs.background import CONTRACT, Background
from data_specs.background_prompt import BackgroundPrompt
from data_specs.caption import Sampling
from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.ids import ConceptId, background_id, seed_of
from data_specs.rejection import Rejection
from data_specs.shard import UNNAMED, MadeBy, ShardAddress, ShardManifest
from data_specs.specs.concepts import BackgroundsSpec
from data_specs.stage import Stage
from models.captioner.build import build_captioner
from models.captioner.protocol import Ask, Captioner, prompt_digest
from tasks.bundles import Work, require_planned
from tasks.claimed_shards import missing_first
from tasks.concepts.background_answers import AnswerReader, RefusedAnswer, answer_in_one_line, fingerprint
from tasks.concepts.background_prompts import examples_for, prompt_for, write_example
from tasks.engines import EngineProcess, loaded
from tasks.events import Advanced, Emit, ignore
from tasks.shards import make_shard, read_rows


class BackgroundInputs:
    """`objects` are all that the run asks about, in order: shard i has `objects[i * per_shard : (i + 1) * per_shard]`.

    Not a dataclass: Prefect traverses each field of a dataclass, and of all in it, whenever a task is submitted: 1.4 s of
    CPU for each bundle with 20,000 concepts.
    """

    def __init__(self, objects: tuple[Concept, ...], prompt: BackgroundPrompt) -> None:
        self.objects, self.prompt = objects, prompt


def write(
    objects: Sequence[Concept], prompt: BackgroundPrompt, captioner: Captioner, spec: BackgroundsSpec, seed: int
) -> Iterator[Background | Rejection]:
    """Yields refusals as they happen, then the backgrounds object by object, each that ended short followed by `too_few`.

    All open objects of an attempt go to the engine in one call, so a shard's content depends on its objects alone.
    """
    reader = AnswerReader(prompt)
    kept: dict[ConceptId, dict[str, Background]] = {each.id: {} for each in objects}
    for attempt in range(spec.attempts):
        open_objects = [each for each in objects if len(kept[each.id]) < spec.per_concept]
        if not open_objects:
            break
        attempts = [_Attempt(each, prompt, seed, attempt, chat=spec.chat) for each in open_objects]
        for each, completion in zip(attempts, captioner.complete([each.ask for each in attempts]), strict=True):
            found, answer = kept[each.about.id], answer_in_one_line(completion) if spec.chat else completion
            for part in reader.read(answer, each.about.name):
                verdict = _beside(found, part, spec.per_concept) if isinstance(part, str) else part
                if isinstance(verdict, RefusedAnswer):
                    yield Rejection(f"{each.about.id}-{attempt}", verdict.reason, verdict.text)
                else:
                    found[fingerprint(verdict)] = each.background(verdict, captioner, spec)
    for about in objects:
        found = kept[about.id]
        yield from found.values()
        if len(found) < spec.per_concept:
            yield Rejection(about.id, "too_few", f"{about.name}: {len(found)} of {spec.per_concept}")


def _beside(found: Mapping[str, Background], part: str, wanted: int) -> str | RefusedAnswer:
    if fingerprint(part) in found:
        return RefusedAnswer("repeated", part)
    return part if len(found) < wanted else RefusedAnswer("surplus", part)


class _Attempt:
    """One attempt at one object: its examples, prompt and seed; makes the records of the backgrounds in its answer."""

    def __init__(self, about: Concept, prompt: BackgroundPrompt, seed: int, attempt: int, *, chat: bool) -> None:
        examples = examples_for(prompt, about.id, seed, attempt)
        self.about = about
        asked = prompt_for(prompt, examples, about.name, chat=chat)
        self.ask = Ask(asked, seed_of("backgrounds", seed, about.id, attempt))
        self._lines = tuple(map(write_example, examples))
        self._attempt = attempt

    def background(self, text: str, captioner: Captioner, spec: BackgroundsSpec) -> Background:
        return Background(
            id=background_id(self.about.id, text),
            text=text,
            concept_id=self.about.id,
            concept=self.about.name,
            examples=self._lines,
            prompt_digest=prompt_digest(self.ask.prompt),
            model=captioner.model,
            sampling=Sampling(spec.temperature, spec.top_p, spec.max_tokens),
            seed=self.ask.seed,
            attempt=self._attempt,
        )


def write_shard(
    objects: Sequence[Concept],
    prompt: BackgroundPrompt,
    address: ShardAddress,
    captioner: Captioner,
    spec: BackgroundsSpec,
    *,
    seed: int,
    made_by: MadeBy = UNNAMED,
    emit: Emit = ignore,
) -> ShardManifest:
    """Asks nothing for a shard that is sealed already. Raises SpecError, and seals nothing, below `min_kept`."""

    def check(kept: int, refused: Counter[str]) -> None:
        wanted = spec.per_concept * len(objects)
        if kept < spec.min_kept * wanted:
            reasons = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
            raise SpecError(
                f"{address.stem}: {kept} of {wanted} backgrounds after {spec.attempts} attempts, less than "
                f"{spec.at}.min_kept={spec.min_kept:g} wants; refused: {reasons}; raise "
                "attempts, lower min_kept, or change model or prompt"
            )

    def outcomes() -> Iterator[Background | Rejection]:
        return write(objects, prompt, captioner, spec, seed)

    return make_shard(address, CONTRACT, outcomes, made_by=made_by, emit=emit, tar=False, check=check)


def write_here(
    objects: Sequence[Concept],
    prompt: BackgroundPrompt,
    stage: Stage,
    index: int,
    spec: BackgroundsSpec,
    seed: int,
    made_by: MadeBy,
    *,
    emit: Emit = ignore,
) -> ShardManifest:
    """In an engine's process: the model is loaded for the first shard and kept for the others."""
    captioner = loaded(build_captioner, spec)
    require_planned(stage, "model", captioner.model)
    return write_shard(objects, prompt, stage.shard(index), captioner, spec, seed=seed, made_by=made_by, emit=emit)


def write_bundle(work: Work[BackgroundsSpec, BackgroundInputs], engine: EngineProcess, emit: Emit) -> int:
    """Makes the shards one after the other in one engine process; returns how many backgrounds were written."""
    spec, total = work.settings, 0
    for address in missing_first(work.shards, work.made_by, emit):
        objects = work.inputs.objects[address.index * spec.per_shard : (address.index + 1) * spec.per_shard]
        where = work.inputs.prompt, work.stage, address.index
        manifest = engine.call(write_here, objects, *where, spec, work.seed, work.made_by, emit=emit)
        total += manifest.accepted
        emit(Advanced(work.made_by.run, work.stage.name, len(objects)))
    return total


def read_backgrounds(addresses: Sequence[ShardAddress]) -> dict[ConceptId, tuple[str, ...]]:
    """The backgrounds of each object in sealed shards, in written order."""
    found: dict[ConceptId, tuple[str, ...]] = {}
    for address in addresses:
        for row in read_rows(address).select(["concept_id", "text"]).to_pylist():
            found[row["concept_id"]] = (*found.get(row["concept_id"], ()), row["text"])
    return found

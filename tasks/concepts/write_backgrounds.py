"""Write backgrounds for one shard of objects: each asked about until it has as many as are wanted, by an LLM."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from data_specs.background import CONTRACT, Background
from data_specs.background_prompt import BackgroundPrompt
from data_specs.caption import Sampling
from data_specs.concept import Concept
from data_specs.errors import SpecError
from data_specs.ids import ConceptId, background_id, digest, seed_of
from data_specs.rejection import Rejection
from data_specs.run import BackgroundsSpec
from data_specs.shard import ShardAddress, ShardManifest
from models.captioner.build import build_captioner
from models.captioner.protocol import Ask, Captioner
from tasks.bundles import RETRIES, RETRY_DELAYS_SECONDS, engine_failed
from tasks.concepts.background_answers import Answers, Refused, fingerprint
from tasks.concepts.background_prompts import examples_for, load_prompt, write_example, write_prompt
from tasks.engines import EngineProcess, loaded
from tasks.events import Advanced, tell
from tasks.shards import make_shard, missing_first, read_rows


def write(
    objects: Sequence[Concept], captioner: Captioner, spec: BackgroundsSpec, seed: int
) -> Iterator[Background | Rejection]:
    """Every refusal as it happens, then the backgrounds, object by object, `too_few` after those that ended short.

    All open objects of an attempt go to the engine in one call, so a shard follows from its objects alone.
    """
    prompt = load_prompt(spec.prompt)
    answers = Answers(prompt)
    kept: dict[ConceptId, dict[str, Background]] = {each.id: {} for each in objects}
    for attempt in range(spec.attempts):
        asked = [_Asked(each, prompt, seed, attempt) for each in objects if len(kept[each.id]) < spec.per_concept]
        if not asked:
            break
        for each, completion in zip(asked, captioner.complete([each.ask for each in asked]), strict=True):
            found = kept[each.about.id]
            for part in answers.read(completion, each.about.name):
                verdict = _beside(found, part, spec.per_concept) if isinstance(part, str) else part
                if isinstance(verdict, Refused):
                    yield Rejection(f"{each.about.id}-{attempt}", verdict.reason, verdict.text)
                else:
                    found[fingerprint(verdict)] = each.background(verdict, captioner, spec)
    for about in objects:
        found = kept[about.id]
        yield from found.values()
        if len(found) < spec.per_concept:
            yield Rejection(about.id, "too_few", f"{about.name}: {len(found)} of {spec.per_concept}")


def _beside(found: Mapping[str, Background], part: str, wanted: int) -> str | Refused:
    if fingerprint(part) in found:
        return Refused("repeated", part)
    return part if len(found) < wanted else Refused("surplus", part)


class _Asked:
    """One attempt at one object: its examples, prompt and seed, and a background of its answer."""

    def __init__(self, about: Concept, prompt: BackgroundPrompt, seed: int, attempt: int) -> None:
        examples = examples_for(prompt, about.id, seed, attempt)
        self.about = about
        self.ask = Ask(write_prompt(prompt, examples, about.name), seed_of("backgrounds", seed, about.id, attempt))
        self._lines = tuple(map(write_example, examples))
        self._attempt = attempt

    def background(self, text: str, captioner: Captioner, spec: BackgroundsSpec) -> Background:
        return Background(
            id=background_id(self.about.id, text),
            text=text,
            concept_id=self.about.id,
            concept=self.about.name,
            examples=self._lines,
            prompt_digest=digest("prompt", self.ask.prompt),
            model=captioner.model,
            sampling=Sampling(spec.temperature, spec.top_p, spec.max_tokens),
            seed=self.ask.seed,
            attempt=self._attempt,
        )


def write_shard(
    objects: Sequence[Concept],
    address: ShardAddress,
    captioner: Captioner,
    spec: BackgroundsSpec,
    *,
    seed: int,
    run: str = "",
) -> ShardManifest:
    """Nothing is asked for a shard that is sealed already. Raises SpecError, and seals nothing, below `min_kept`."""

    def check(kept: int, refused: Counter[str]) -> None:
        wanted = spec.per_concept * len(objects)
        if kept < spec.min_kept * wanted:
            reasons = ", ".join(f"{reason} {count}" for reason, count in refused.most_common())
            raise SpecError(
                f"{address.stem}: {kept} of {wanted} backgrounds after {spec.attempts} attempts, less than "
                f"{spec.at}.min_kept={spec.min_kept:g} wants; refused: {reasons}; raise "
                "attempts, lower min_kept, or change model or prompt"
            )

    return make_shard(address, CONTRACT, lambda: write(objects, captioner, spec, seed), run=run, tar=False, check=check)


def write_here(
    objects: Sequence[Concept], address: ShardAddress, spec: BackgroundsSpec, *, seed: int, run: str
) -> ShardManifest:
    """In an engine's process: the model is loaded for the first shard and kept for the others."""
    return write_shard(objects, address, loaded(build_captioner, spec), spec, seed=seed, run=run)


@task(
    name="write a bundle of background shards",
    retries=RETRIES,
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=engine_failed,
    cache_policy=NO_CACHE,
)
def write_bundle(
    objects: Sequence[Sequence[Concept]],
    addresses: Sequence[ShardAddress],
    spec: BackgroundsSpec,
    engine: EngineProcess,
    *,
    seed: int,
    run: str,
) -> int:
    """`objects` are those of each address. Shards one after the other; returns how many backgrounds were written."""
    about = dict(zip(addresses, objects, strict=True))
    total = 0
    for address in missing_first(addresses):
        manifest = engine.call(write_here, about[address], address, spec, seed=seed, run=run)
        tell(Advanced("backgrounds", len(about[address])))
        total += manifest.accepted
    return total


def read_backgrounds(addresses: Sequence[ShardAddress]) -> dict[ConceptId, tuple[str, ...]]:
    """What sealed shards hold for each object, in written order."""
    found: dict[ConceptId, tuple[str, ...]] = {}
    for address in addresses:
        for row in read_rows(address).select(["concept_id", "text"]).to_pylist():
            found[row["concept_id"]] = (*found.get(row["concept_id"], ()), row["text"])
    return found

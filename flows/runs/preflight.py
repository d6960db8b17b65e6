"""Refuse, before any work, what would fail after hours: missing stages, models, servers, hubs, benchmarks."""

from data_specs.errors import SpecError
from data_specs.stage import BACKGROUNDS, STAGES, Stage
from flows.runs.plan import RunPlan
from models.captioner.build import require_captioner
from models.encoder.tokenizer import require_tokenizer
from models.renderer.build import require_renderer
from models.scorer.build import require_scorers
from tasks import storage
from tasks.embeddings.benchmarks import benchmark_of, benchmark_shards
from tasks.embeddings.data_sets import require_usable
from tasks.events import Notice
from tasks.shards import missing, sealed


def preflight(plan: RunPlan) -> None:
    """Raises SpecError for what can be refused now. Engines are looked for only where a stage has something to make."""
    for name in STAGES[: STAGES.index(plan.since)]:
        _require_sealed(plan, plan.stages[name])
    _require_other_images(plan)
    spec, written = plan.spec, plan.stages.get(BACKGROUNDS)
    by = spec.concepts.backgrounds_by
    if by and written and "concepts" in plan.requested and missing(written):
        require_captioner(by)
    if _makes(plan, "captions"):
        require_captioner(spec.captions)
    if _makes(plan, "images"):
        require_renderer(spec.images)
        require_scorers(spec.images)
    if _makes(plan, "encoder"):
        require_tokenizer(spec.encoder)
    if _makes(plan, "embeddings"):
        _require_benchmarks(plan)


def _makes(plan: RunPlan, name: str) -> bool:
    return name in plan.requested and bool(missing(plan.stages[name]))


def _require_sealed(plan: RunPlan, stage: Stage) -> None:
    if absent := len(missing(stage)):
        raise SpecError(
            f"{plan.since} of run {plan.name!r} needs the {stage.name} stage, of which {absent} of {stage.count} shards are "
            f"missing under {plan.root}; run it first (--since {stage.name}, or deployment synclr/{stage.name})"
        )


def _require_other_images(plan: RunPlan) -> None:
    for data_set in plan.spec.embeddings.data_sets:
        if storage.absolute(data_set.path).rstrip("/") == storage.absolute(plan.stages["images"].folder):
            raise SpecError(
                f"embeddings.data_sets: {data_set.name} at {data_set.path} holds the very images that this run's encoder is "
                "trained on: name the images stage of another run"
            )


def _require_benchmarks(plan: RunPlan) -> None:
    """Of benchmarks of the user's own, those whose images are not sealed yet are looked into, and what is found is told."""
    spec, facts = plan.spec.embeddings, plan.stages["embeddings"].facts
    for data_set in spec.data_sets:
        benchmark = benchmark_of(spec, data_set.name, spec.seeds[0], facts["data_sets"])
        if not all(map(sealed, benchmark_shards(plan.root, benchmark))):
            for text in require_usable(data_set):
                plan.emit(Notice(plan.name, "embeddings", text))

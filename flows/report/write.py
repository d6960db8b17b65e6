"""Write the report of a run, from metadata and a few image shards."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup
from ruamel.yaml import YAML

from data_specs.errors import SynclrError
from data_specs.stage import STAGES, SealedStage
from flows.inspect.long_captions import long_captions
from flows.report.charts import bar
from flows.report.cover import cover, selection_of
from flows.report.curves import curves
from flows.report.encoder_view import EncoderViews, encoder_views
from flows.report.funnel import funnel, refusals
from flows.report.galleries import galleries
from flows.report.image_quality import image_quality
from flows.report.own_benchmarks import own_benchmarks
from flows.report.score_tables import score_tables
from flows.runs.disk import bytes_on_disk
from flows.runs.lineages import rows
from flows.runs.plan import RunPlan, sealed_stages
from flows.runs.recipes import format_overrides
from flows.runs.throughput import QUICK_SECONDS, busy, format_number, per_second
from tasks import storage

PAGE = Path(__file__).with_name("page.html")
VERBS = {
    "concepts": "ingest",
    "captions": "compose",
    "images": "render",
    "encoder": "train",
    "embeddings": "extract",
    "scores": "measure",
}


@dataclass(frozen=True, slots=True)
class ChainEntry:
    """One stage in the chain: what it holds, by which model, under which lineage; not `reached` beyond the run's end."""

    stage: str
    verb: str
    holds: str
    models: tuple[str, ...]
    lineage: str
    upstream: str
    reached: bool
    facts: str


@dataclass(frozen=True, slots=True)
class StageTiming:
    """One stage's time and rate in the last run that made something, and its size on disk."""

    stage: str
    seconds: float
    made: str
    rate: str
    unit: str
    busy: str
    size: str
    bar: Markup


def write_report(plan: RunPlan) -> str:
    """Write `runs/<name>/report.html` and return its path or URL; the same sealed stages make the same bytes.

    Stages that this plan has not sealed are left out and named.
    """
    stages = sealed_stages(plan)
    checkpoints = _checkpoints(stages.get("encoder"))
    funnel_rows, scores = funnel(stages, plan.spec), score_tables(stages.get("scores"))
    sizes = {name: bytes_on_disk(stage) for name, stage in stages.items()}
    page = _template().render(
        name=plan.name,
        source=plan.source,
        changes=format_overrides(plan.source["overrides"]),
        seed=plan.spec.seed,
        when=_when(stages),
        reached=list(stages),
        stages=STAGES,
        headline=scores[0] if scores else None,
        galleries=galleries(stages.get("captions"), stages.get("images")),
        quality=image_quality(stages.get("images")),
        per_caption=plan.spec.images.per_caption,
        funnel_rows=funnel_rows,
        refusals=refusals(funnel_rows),
        cover=cover(stages, plan.spec, selection_of(plan)),
        long=long_captions(stages["images"]) if "images" in stages else None,
        curves=curves(stages["encoder"].folder) if "encoder" in stages else [],
        checkpoint=checkpoints[-1] if checkpoints else None,
        encoder_views=_encoder_views(stages, plan),
        score_tables=scores,
        own_benchmarks=own_benchmarks(stages, plan),
        timings=_timings(stages, plan, sizes, checkpoints),
        seconds=duration(sum(stage.seconds for stage in stages.values())),
        size=_size(sum(size for size, _ in sizes.values()), all(exact for _, exact in sizes.values())),
        chain=[_chain_entry(name, stages.get(name), plan, checkpoints) for name in STAGES],
        recipe=_yaml(plan.spec.model_dump(mode="json")),
    )
    url = f"{plan.folder}/report.html"
    storage.write_bytes(url, page.encode())
    return url


def _template() -> Template:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"percent": lambda share: f"{100 * share:.1f}", "words": lambda text: text.replace("_", " ")}
    return environment.from_string(PAGE.read_text(encoding="utf-8"))


def _encoder_views(stages: Mapping[str, SealedStage], plan: RunPlan) -> EncoderViews | str | None:
    """Or why there are none: the report shows what is still there."""
    try:
        return encoder_views(stages, plan)
    except SynclrError as error:
        return str(error)


def _checkpoints(stage: SealedStage | None) -> list[dict[str, Any]]:
    """Their rows, by step."""
    found = [row for address in stage.shards() for row in rows(address)] if stage else []
    return sorted(found, key=lambda row: int(row["step"]))


def _chain_entry(
    name: str, stage: SealedStage | None, plan: RunPlan, checkpoints: Sequence[dict[str, Any]]
) -> ChainEntry:
    if stage is None:
        return ChainEntry(name, VERBS[name], "not reached", (), "", "", False, "")
    facts = stage.facts
    models = tuple(map(str, facts["model"])) if "model" in facts else ()
    holds = f"{stage.accepted:,} {name}"
    if name == "images":
        holds = f"{stage.accepted * plan.spec.images.per_caption:,} images"
    if name == "encoder" and checkpoints:
        holds = f"{checkpoints[-1]['architecture']}, {checkpoints[-1]['step']:,} steps"
    upstream = str(facts["upstream"] or "")
    return ChainEntry(name, VERBS[name], holds, models, stage.lineage, upstream, True, _yaml(facts))


def _timings(
    stages: Mapping[str, SealedStage],
    plan: RunPlan,
    sizes: Mapping[str, tuple[int, bool]],
    checkpoints: Sequence[dict[str, Any]],
) -> list[StageTiming]:
    longest = max((stage.seconds for stage in stages.values()), default=0.0)
    found = []
    for name, stage in stages.items():
        rate, unit = per_second(stage, plan.spec), name
        if name == "encoder" and checkpoints and stage.seconds >= QUICK_SECONDS:
            rate, unit = checkpoints[-1]["step"] / stage.seconds, "steps"
        found.append(
            StageTiming(
                name,
                stage.seconds,
                f"{stage.made} of {stage.count}",
                "" if rate is None else format_number(rate),
                "" if rate is None else f"{unit}/s",
                busy(stage.engine_busy),
                _size(*sizes[name]),
                bar(stage.seconds, longest, f"{name}: {duration(stage.seconds)}", css="time"),
            )
        )
    return found


def _when(stages: Mapping[str, SealedStage]) -> str:
    """Format when the last stage was sealed, and not when the report was written: a report can be written again."""
    latest = max((stage.unix_time for stage in stages.values()), default=0.0)
    return datetime.fromtimestamp(latest, UTC).strftime("%Y-%m-%d %H:%M UTC") if latest else ""


def duration(seconds: float) -> str:
    """Format as `1 h 02 min`, `3 min 20 s` or `4.2 s`."""
    if seconds >= 3600:
        return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60):02d} min"
    return f"{int(seconds // 60)} min {int(seconds % 60):02d} s" if seconds >= 60 else f"{seconds:.1f} s"


def _size(count: int, exact: bool) -> str:
    about = "" if exact else "about "
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= scale:
            return f"{about}{count / scale:.3g} {unit}"
    return f"{about}{count / 1e3:.3g} kB"


def _yaml(tree: Any) -> str:
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = None
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.width = 110
    writer.dump(tree, stream)
    return stream.getvalue()

"""Count what each stage was asked for, accepted and refused, for which reasons, with examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from data_specs.rejection import Rejection
from data_specs.specs.run import RunSpec
from data_specs.stage import RECORDS, SealedStage
from flows.report.charts import Part, stacked
from tasks.shards import read_rejects

EXAMPLES = 3
EXAMPLE_SHARDS = 8
MOST_LETTERS = 160


@dataclass(frozen=True, slots=True)
class RefusalReason:
    """One reason: how often, its share of what was asked for, and a few texts that were refused for it."""

    reason: str
    count: int
    share: float
    css: str
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunnelRow:
    """One stage: asked = accepted + all refused; `planned` is None where a stage plans no number."""

    stage: str
    unit: str
    planned: int | None
    asked: int
    accepted: int
    images: int | None
    refused: tuple[RefusalReason, ...]
    bar: Markup


def funnel(stages: Mapping[str, SealedStage], spec: RunSpec) -> list[FunnelRow]:
    """One row a sealed stage."""
    return [_row(stage, _planned(name, stages, spec), spec) for name, stage in stages.items()]


def _row(stage: SealedStage, planned: int | None, spec: RunSpec) -> FunnelRow:
    name, accepted, rejected = stage.name, stage.accepted, stage.rejected
    asked = accepted + sum(rejected.values())
    texts = _texts(stage) if rejected else {}
    ordered = sorted(rejected.items(), key=lambda entry: (-entry[1], entry[0]))
    refused = tuple(
        RefusalReason(reason, count, count / asked, f"refused r{min(number, 5)}", texts.get(reason, ()))
        for number, (reason, count) in enumerate(ordered)
    )
    parts = [Part("accepted", accepted, "kept"), *(Part(entry.reason, entry.count, entry.css) for entry in refused)]
    counts = ", ".join(f"{part.value:,g} {part.label.replace('_', ' ')}" for part in parts)
    return FunnelRow(
        stage=name,
        unit=RECORDS[name],
        planned=planned,
        asked=asked,
        accepted=accepted,
        images=accepted * spec.images.per_caption if name == "images" else None,
        refused=refused,
        bar=stacked(parts, asked, f"{name}: of {asked:,} asked for, {counts}"),
    )


def _planned(name: str, stages: Mapping[str, SealedStage], spec: RunSpec) -> int | None:
    if name == "captions":
        return stages[name].count * spec.captions.per_shard
    return stages["captions"].accepted if name == "images" else None


def _texts(stage: SealedStage) -> dict[str, tuple[str, ...]]:
    """Read the first few different texts by reason, from shards spread over the stage."""
    seen: dict[str, list[str]] = {}
    for address in stage.spread(EXAMPLE_SHARDS):
        for rejection in read_rejects(address):
            kept = seen.setdefault(rejection.reason, [])
            if len(kept) < EXAMPLES and (text := _shortened(rejection)) not in kept:
                kept.append(text)
    return {reason: tuple(kept) for reason, kept in seen.items()}


def _shortened(rejection: Rejection) -> str:
    text = " ".join(rejection.text.split()) or "(no text)"
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def refusals(funnel_rows: Sequence[FunnelRow]) -> list[tuple[FunnelRow, RefusalReason]]:
    """Every reason of every stage, beside its stage."""
    return [(row, entry) for row in funnel_rows for entry in row.refused]

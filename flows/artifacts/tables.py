"""Tabulate what is shown of a sealed stage: counts, a few captions, scores."""

from html import escape
from typing import Any

from data_specs import caption as caption_record
from data_specs.caption import STRATEGIES, Caption
from data_specs.specs.run import RunSpec
from data_specs.stage import SealedStage, Stage
from flows.report.galleries import first_samples, prompt_target, sample
from flows.report.score_tables import score_tables
from flows.runs.throughput import busy, per_second

PER_STRATEGY = 6
Rows = list[dict[str, Any]]


def counts(sealed: SealedStage, spec: RunSpec) -> Rows:
    """Asked = accepted + every reason for a rejection; shards = made + reused."""
    asked = sealed.accepted + sum(sealed.rejected.values())
    rows: Rows = [_counted("asked", asked, asked), _counted("accepted", sealed.accepted, asked)]
    ordered = sorted(sealed.rejected.items(), key=lambda entry: (-entry[1], entry[0]))
    rows += [_counted(f"rejected: {reason.replace('_', ' ')}", count, asked) for reason, count in ordered]
    rows += [
        _counted("shards", sealed.count, sealed.count),
        _counted("shards made now", sealed.made, sealed.count),
        _counted("shards reused", sealed.count - sealed.made, sealed.count),
    ]
    rows.append({"what": "seconds in this stage", "count": round(sealed.seconds, 1), "share": ""})
    if (rate := per_second(sealed, spec)) is not None:
        rows.append(
            {"what": f"{sealed.name} a second", "count": float(f"{rate:.3g}"), "share": busy(sealed.engine_busy)}
        )
    return rows


def _counted(what: str, count: int, of: int) -> dict[str, Any]:
    return {"what": what, "count": count, "share": f"{100 * count / of:.1f} %" if of else ""}


def captions(stage: Stage) -> Rows:
    """A few captions of each strategy, the same ones every time."""
    found: list[Caption] = list(first_samples(stage, caption_record.CONTRACT))
    chosen = [
        one
        for strategy in STRATEGIES
        for one in sample([each for each in found if each.strategy == strategy], PER_STRATEGY)
    ]
    return [
        {"concept": one.concept, "strategy": one.strategy, "asked for": prompt_target(one), "caption": one.text}
        for one in chosen
    ]


def captions_page(stage: Stage) -> str:
    """The same as Markdown, since Prefect's tables cut what is longer than a line. A language model's words are no markup."""
    rows = captions(stage)
    parts = []
    for strategy in STRATEGIES:
        lines = [
            f"* **{escape(row['concept'])}**{', ' * bool(row['asked for'])}{escape(row['asked for'])}: {escape(row['caption'])}"
            for row in rows
            if row["strategy"] == strategy
        ]
        parts.append(f"## {strategy}\n\n" + ("\n".join(lines) or "None here."))
    return "\n\n".join(parts) + "\n"


def scores(stage: Stage) -> Rows:
    """This encoder beside what it must beat; the spread is over draws of the benchmark and initialisations."""
    return [
        {
            "benchmark": table.benchmark + table.subset,
            "protocol": table.protocol,
            "encoder": row.name,
            f"{table.metric} %": round(100 * row.mean, 2),
            "± over seeds": "" if row.spread is None else round(100 * row.spread, 2),
            "seeds": row.count,
            "95 % interval": f"{100 * row.low:.1f} to {100 * row.high:.1f}",
            "over folds": f"{100 * min(row.folds):.1f} to {100 * max(row.folds):.1f}",
            "chance %": round(100 * table.chance, 2),
        }
        for table in score_tables(stage)
        for row in table.score_rows
    ]

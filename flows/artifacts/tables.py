"""A sealed room enters; the rows and lines that are shown of it leave: counts, a few captions, scores."""

from html import escape
from typing import Any

from data_specs import caption as caption_record
from data_specs.caption import STRATEGIES, Caption
from data_specs.run import RunSpec
from flows.report.galleries import chosen, some
from flows.report.score_tables import tables
from flows.report.sealed_stages import Walked
from flows.runs.throughput import busy, per_second

PER_STRATEGY = 6
Rows = list[dict[str, Any]]


def counts(room: Walked, spec: RunSpec) -> Rows:
    """Asked = accepted + every reason for a rejection; shards = made + taken over."""
    sealed = room.sealed
    asked = sealed.accepted + sum(sealed.rejected.values())
    told: Rows = [_counted("asked", asked, asked), _counted("accepted", sealed.accepted, asked)]
    ordered = sorted(sealed.rejected.items(), key=lambda entry: (-entry[1], entry[0]))
    told += [_counted(f"rejected: {reason.replace('_', ' ')}", count, asked) for reason, count in ordered]
    told += [
        _counted("shards", sealed.shards, sealed.shards),
        _counted("shards made now", sealed.made, sealed.shards),
        _counted("shards taken over", sealed.shards - sealed.made, sealed.shards),
    ]
    told.append({"what": "seconds in this room", "count": round(room.seconds, 1), "share": ""})
    if (rate := per_second(sealed, room.seconds, spec)) is not None:
        unit = "pictures" if sealed.room == "images" else sealed.room
        told.append({"what": f"{unit} a second", "count": float(f"{rate:.3g}"), "share": busy(room.engine_busy)})
    return told


def _counted(what: str, count: int, of: int) -> dict[str, Any]:
    return {"what": what, "count": count, "share": f"{100 * count / of:.1f} %" if of else ""}


def captions(room: Walked) -> Rows:
    """A few of each strategy, the same ones at every look."""
    found: list[Caption] = list(some(room, caption_record.CONTRACT))
    picked = [
        one
        for strategy in STRATEGIES
        for one in chosen([each for each in found if each.strategy == strategy], PER_STRATEGY)
    ]
    return [
        {"concept": one.concept, "strategy": one.strategy, "asked for": aim(one), "caption": one.text} for one in picked
    ]


def captions_page(room: Walked) -> str:
    """The same as text, since Prefect's tables cut what is longer than a line. A language model's words are no markup."""
    shown = captions(room)
    parts = []
    for strategy in STRATEGIES:
        lines = [
            f"* **{escape(row['concept'])}**{', ' * bool(row['asked for'])}{escape(row['asked for'])}: {escape(row['caption'])}"
            for row in shown
            if row["strategy"] == strategy
        ]
        parts.append(f"## {strategy}\n\n" + ("\n".join(lines) or "None here."))
    return "\n\n".join(parts) + "\n"


def aim(caption: Caption) -> str:
    """What the plan asked for beside the concept."""
    return caption.background or " ".join(filter(None, (caption.relation, caption.other)))


def scores(room: Walked) -> Rows:
    """This encoder beside what it must beat; the spread is over drawings and initialisations."""
    return [
        {
            "benchmark": table.benchmark + table.subset,
            "protocol": table.protocol,
            "encoder": standing.name,
            f"{table.metric} %": round(100 * standing.mean, 2),
            "± over seeds": "" if standing.spread is None else round(100 * standing.spread, 2),
            "seeds": standing.count,
            "95 % interval": f"{100 * standing.low:.1f} to {100 * standing.high:.1f}",
            "over folds": f"{100 * min(standing.folds):.1f} to {100 * max(standing.folds):.1f}",
            "chance %": round(100 * table.chance, 2),
        }
        for table in tables(room)
        for standing in table.standings
    ]

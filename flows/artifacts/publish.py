"""Publish what is shown of a sealed stage as artifacts on the server, under keys that are the same every time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate

from data_specs.stage import SealedStage, Stage
from flows.artifacts import tables
from flows.artifacts.image_sheet import image_sheet
from flows.artifacts.keys import key
from flows.artifacts.lineage_page import lineage_page, with_seen_by
from flows.artifacts.server_links import known_runs, link_to, newest
from flows.runs.plan import RunPlan


def publish_stage(
    plan: RunPlan,
    sealed: SealedStage,
    reads: Stage | None,
    stale: Sequence[str],
    *,
    flow_run: str | None,
    notice: Callable[[str], None],
) -> dict[str, str]:
    """Write the artifacts of a stage; returns their ids by what they show. What goes wrong is told `notice` once, no more.

    `reads` is the stage before, `stale` the fields in which the run's last result differed, `flow_run` what made `sealed`.
    """
    published: dict[str, str] = {}
    with never_fail(f"{sealed.name}: its artifacts", notice):
        described = f"{sealed.name} of {plan.name}"
        counts = tables.counts(sealed, plan.spec)
        made = create_table_artifact(counts, key(plan.name, sealed.name, "counts"), f"{described}: counts")
        published["counts"] = str(made)
        _publish_samples(plan, sealed, published)
        # Last, since it links to the others.
        page = lineage_page(plan, sealed, reads, stale, flow_run, link_to(published, sealed.name), known_runs())
        counted = f"{sealed.count:,} shards, {sealed.made:,} made now, {sealed.count - sealed.made:,} reused"
        made = create_markdown_artifact(
            page, key(plan.name, sealed.name, "lineage"), f"{described}: lineage; {counted}"
        )
        published["lineage"] = str(made)
    return published


@contextmanager
def never_fail(what: str, notice: Callable[[str], None]) -> Iterator[None]:
    """Tell `notice` of an error in the block, and go on after it."""
    try:
        yield
    except Exception as error:  # the server's or the network's: none of it is worth a sealed stage
        notice(f"{what} could not be written: {type(error).__name__}: {error}")


def _publish_samples(plan: RunPlan, sealed: SealedStage, published: dict[str, str]) -> None:
    name = plan.name
    match sealed.name:
        case "captions":
            page, described = tables.captions_page(sealed), f"captions of {name}: some of each strategy"
            made = create_markdown_artifact(
                f"# Captions of {name}\n\n{page}", key(name, "captions", "samples"), described
            )
            published["samples"] = str(made)
        case "images":
            if sheet := image_sheet(sealed):
                described = f"images of {name}: captions with their images"
                # As Markdown: the page of an image artifact prints its address too, all 150 kB of it.
                page = f"# Images of {name}\n\n![{described}]({sheet})"
                published["sheet"] = str(create_markdown_artifact(page, key(name, "images", "sheet"), described))
        case "encoder":
            _update_images_page(plan)
        case "scores":
            described = f"scores of {name}, beside what they must beat"
            made = create_table_artifact(tables.scores(sealed), key(name, "scores", "table"), described)
            published["table"] = str(made)


def _update_images_page(plan: RunPlan) -> None:
    """The page of the image shards was written before this encoder: it names now who has seen them."""
    shown, images = newest(plan.name, "images", "lineage"), plan.stages["images"]
    if shown is None or images.lineage not in str(shown.data):
        return  # the images were sealed without a server, or for another recipe
    with get_client(sync_client=True) as client:
        page = with_seen_by(str(shown.data), plan.root, images, link_to({}, ""))
        client.update_artifact(shown.id, ArtifactUpdate(data=page))

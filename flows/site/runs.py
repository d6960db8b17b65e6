"""The front page: every run under the root, and which two are to be compared."""

from itertools import islice
from typing import Any

from data_specs import image_group
from flows.inspect.runs import runs_under
from flows.inspect.stage_events import FAILED, last_events
from flows.report.galleries import GalleryImage, images_of
from flows.runs.plan import RunPlan
from flows.site.addresses import FRONT, compare_page, run_page
from flows.site.site import Site, SitePage, UnknownPageError, readable
from tasks.shards import read_shard, sealed_shards

THUMBNAILS = 4


def runs_view(site: Site) -> SitePage:
    """Runs that sealed something last come first, each with a few of its images."""
    runs = [_row(site, run) for run in runs_under(site.root, as_planned=True)]
    return SitePage("runs.html", "Runs", content={"root": site.root, "runs": runs})


def _row(site: Site, run: dict[str, Any]) -> dict[str, Any]:
    found = run | {"images": (), "kind": "damaged", "recipe": ""}
    if run["fault"]:
        return found
    plan = site.plan(run["run"])
    done = str(run["state"]).startswith("finished")
    failed = "" if done else next((e.stage for e in last_events(plan).values() if e.type == FAILED), "")
    return found | {
        "images": readable(thumbnails, plan)[0] or (),
        "recipe": plan.source["recipe"],
        "state": f"{run['state']}, failed in {failed}" if failed else run["state"],
        "kind": "made" if done else "damaged" if failed else "open",
    }


def thumbnails(plan: RunPlan) -> list[GalleryImage]:
    """One image each of the first captions of the first sealed shard; none that is flagged as unsafe."""
    for address in sealed_shards(plan.stages["images"])[:1]:
        groups = islice(read_shard(address, image_group.CONTRACT), THUMBNAILS)
        return [image for group in groups for image in images_of(group)[:1]]
    return []


def choose_view(site: Site, left: str) -> SitePage:
    """The runs that one can be compared with; the one that is older will stand at the left."""
    runs = runs_under(site.root, as_planned=True)
    order = [run["run"] for run in reversed(runs)]
    if left not in order:
        raise UnknownPageError(f"there is no run {left!r} under {site.root!r}")
    others = [
        run | {"page": compare_page(*sorted((left, run["run"]), key=order.index))}
        for run in runs
        if run["run"] != left and not run["fault"]
    ]
    crumbs = (("runs", FRONT), (left, run_page(left)))
    return SitePage("choose.html", f"Compare {left} with", crumbs, {"left": left, "others": others})

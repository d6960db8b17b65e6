"""The front page: every run under the root, and which two are to be compared."""

from typing import Any

from flows.inspect.runs import runs_under
from flows.inspect.stage_events import failed_stage, last_events, waiting_stage
from flows.site.addresses import FRONT, compare_page, run_page
from flows.site.site import Site, SitePage, UnknownPageError
from flows.site.thumbnails import images_of_run


def runs_view(site: Site) -> SitePage:
    """Runs that sealed something last come first, each with a few of its images."""
    runs = [_row(site, run) for run in runs_under(site.root, as_planned=True)]
    return SitePage("runs.html", "Runs", content={"root": site.root, "runs": runs})


def _row(site: Site, run: dict[str, Any]) -> dict[str, Any]:
    found = run | {"images": (), "kind": "damaged", "recipe": "", "waits": ""}
    if run["fault"]:
        return found
    plan = site.plan(run["run"])
    done = str(run["state"]).startswith("finished")
    events = {} if done else last_events(plan)
    failed, waits = failed_stage(plan, events), waiting_stage(plan, events)
    return found | {
        "images": images_of_run(plan),
        "recipe": plan.source["recipe"],
        "state": f"{run['state']}, failed in {failed}" if failed else run["state"],
        "waits": waits.waits if waits else "",
        "kind": "made" if done else "damaged" if failed else "open",
    }


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

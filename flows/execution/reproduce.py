"""The name of a paper's table enters; its recipes are walked, and the paper's figures leave beside ours."""

import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from data_specs.errors import SpecError
from data_specs.reproduction import Reproduction, Variant
from flows.execution.run import walk
from flows.execution.run_parallel import walk_together
from flows.runs.folder import read_recipe
from flows.runs.request import Request
from flows.runs.resolve import rooms
from tasks.encoder.metrics import read_metrics
from tasks.scores.summary import scored
from tasks.shards import read_rows

FOLDER = Path(__file__).parents[2] / "data_specs" / "reproductions"
# What an encoder is compared with is the other variants.
SHARED: dict[str, dict[str, Any]] = {"embeddings": {"random_inits": 0, "hog": False}}


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def read_reproduction(name: str) -> Reproduction:
    """Raises SpecError for a name that there is not."""
    path = FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise SpecError(f"there is no reproduction {name!r}; there are {', '.join(names())}")
    try:
        return Reproduction.model_validate(YAML(typ="safe", pure=True).load(path.read_text("utf-8")))
    except ValidationError as error:
        raise SpecError(f"{path}: {error}") from error


def reproduce(
    name: str, root: str, repeats: int, turned: Mapping[str, Any], *, at_once: int = 1, quiet: bool
) -> dict[str, Any]:
    """Every variant, its encoder trained `repeats` times on the same pictures; a stopped reproduction goes on.

    `turned` are knobs for all variants. Each walk is a run of its own, `reproduce-<name>-<variant>-<repeat>`; all variants
    are walked before the first is repeated.
    """
    asked = read_reproduction(name)
    requests = [
        (variant, _request(asked, variant, name, root, repeat, turned))
        for repeat in range(repeats)
        for variant in asked.variants
    ]
    for _, request in requests:  # all that can be refused, before the first walk
        request.preflight(request.resolved())
    found: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in asked.variants}
    if at_once > 1:
        walk_together([request for _, request in requests], at_once, quiet=quiet)
    else:
        for _, request in requests:
            walk(request, quiet=quiet)
    for variant, request in requests:
        found[variant.name].append(scores(root, str(request.name)) | {"run": request.name})
    return {
        "name": name,
        "title": asked.title,
        "source": asked.source,
        "columns": asked.columns,
        "repeats": repeats,
        "variants": [_row(variant, found[variant.name]) for variant in asked.variants],
    }


def scores(root: str, run: str) -> dict[str, float]:
    """Benchmark and protocol -> the trained encoder's mean over folds and drawings; its `images_seen` and `hours`."""
    recorded, _ = read_recipe(root, run)
    here = rooms(recorded.spec, root)
    grouped: dict[str, list[float]] = {}
    for row in scored(here["scores"].shards):
        if row["encoder"] == "trained" and row["subset"] == "all":
            grouped.setdefault(f"{row['benchmark']} {row['protocol']}", []).append(row["value"])
    told = {question: statistics.fmean(values) for question, values in grouped.items()}
    seen = read_rows(here["encoder"].table, ["images_seen"]).column("images_seen")[0].as_py()
    hours = math.fsum(row["seconds"] for row in read_metrics(here["encoder"].folder)) / 3600
    return told | {"images_seen": seen, "hours": hours}


def _request(
    asked: Reproduction, variant: Variant, name: str, root: str, repeat: int, turned: Mapping[str, Any]
) -> Request:
    knobs: dict[str, Any] = {}
    for layer in (SHARED, asked.set, turned, variant.set, {"encoder": {"repeat": repeat}}):
        for room, part in layer.items():
            knobs[room] = knobs.get(room, {}) | part if isinstance(part, Mapping) else part
    return Request(asked.recipe, f"reproduce-{name}-{variant.name}-{repeat}", root, "concepts", "scores", None, knobs)


def _row(variant: Variant, found: list[dict[str, Any]]) -> dict[str, Any]:
    questions = [question for question in found[0] if question not in ("run", "images_seen", "hours")]
    return {
        "name": variant.name,
        "says": variant.says,
        "paper": variant.paper,
        "images_seen": found[0]["images_seen"],
        "hours": math.fsum(one["hours"] for one in found),
        "runs": [one["run"] for one in found],
        "ours": {question: _spread([one[question] for one in found]) for question in questions},
    }


def _spread(values: list[float]) -> dict[str, float | None]:
    """Mean, and the sample standard deviation over repeats."""
    return {"mean": statistics.fmean(values), "deviation": statistics.stdev(values) if len(values) > 1 else None}

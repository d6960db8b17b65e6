"""Reproduce a table of a paper: run its recipes, and put the paper's figures beside ours."""

import math
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from data_specs.errors import SpecError
from data_specs.specs.reproduction import Reproduction, Variant
from flows.launch.run import run_request
from flows.launch.run_parallel import run_parallel
from flows.runs.plan import read_plan
from flows.runs.planning import resolve_plan
from flows.runs.preflight import preflight
from flows.runs.request import Request
from tasks.encoder.metrics import read_metrics
from tasks.events import Emit, ignore
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
    name: str, root: str, repeats: int, overrides: Mapping[str, Any], *, at_once: int = 1, emit: Emit = ignore
) -> dict[str, Any]:
    """Run every variant, its encoder trained `repeats` times on the same images; a stopped reproduction goes on.

    `overrides` are settings for all variants. Each training is a run of its own, `reproduce-<name>-<variant>-<repeat>`; all
    variants are run before the first is repeated.
    """
    table = read_reproduction(name)
    requests = [
        (variant, _request(table, variant, name, root, repeat, overrides))
        for repeat in range(repeats)
        for variant in table.variants
    ]
    for _, request in requests:  # all that can be refused, before the first run
        preflight(resolve_plan(request))
    if at_once > 1:
        run_parallel([request for _, request in requests], at_once, emit)
    else:
        for _, request in requests:
            run_request(request, [emit])
    found: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in table.variants}
    for variant, request in requests:
        found[variant.name].append(scores_of_run(root, request.run_name) | {"run": request.run_name})
    return {
        "name": name,
        "title": table.title,
        "source": table.source,
        "columns": table.columns,
        "repeats": repeats,
        "variants": [_row(variant, found[variant.name]) for variant in table.variants],
    }


def scores_of_run(root: str, name: str) -> dict[str, float]:
    """Benchmark and protocol -> the trained encoder's mean over folds and drawings; its `images_seen` and `hours`."""
    stages = read_plan(root, name).stages
    grouped: dict[str, list[float]] = {}
    for row in scored(stages["scores"]):
        if row["encoder"] == "trained" and row["subset"] == "all":
            grouped.setdefault(f"{row['benchmark']} {row['protocol']}", []).append(row["value"])
    means = {question: statistics.fmean(values) for question, values in grouped.items()}
    seen = read_rows(stages["encoder"].table, ["images_seen"]).column("images_seen")[0].as_py()
    hours = math.fsum(row["seconds"] for row in read_metrics(stages["encoder"].folder)) / 3600
    return means | {"images_seen": seen, "hours": hours}


def _request(
    table: Reproduction, variant: Variant, name: str, root: str, repeat: int, overrides: Mapping[str, Any]
) -> Request:
    settings: dict[str, Any] = {}
    for layer in (SHARED, table.set, overrides, variant.set, {"encoder": {"repeat": repeat}}):
        for stage, part in layer.items():
            settings[stage] = settings.get(stage, {}) | part if isinstance(part, Mapping) else part
    return Request(
        table.recipe, f"reproduce-{name}-{variant.name}-{repeat}", root, "concepts", "scores", None, settings
    )


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

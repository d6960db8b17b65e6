"""Draw one small chart per quantity that a training logged (JSON lines, one a logged step)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from data_specs.json_text import parse_json
from flows.report.charts import line
from tasks import storage

METRICS = "metrics.jsonl"
LOSSES = ("loss", "terms", "losses")
"""A quantity is a loss if its name, or what it stands under, begins or ends with one of these."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One logged quantity, with its last value."""

    name: str
    last: float
    is_loss: bool
    chart: Markup


def curves(folder: str) -> list[Curve]:
    """Read the metrics of a training folder, losses first.

    Empty where nothing was logged; a line that a kill cut in half is passed over.
    """
    series: dict[str, dict[float, float]] = defaultdict(dict)
    for entry in _entries(folder):
        step = entry.get("step")
        if not isinstance(step, int | float):
            continue
        for name, value in _flat(entry):
            if name != "step":
                series[name][float(step)] = value  # steps that ran again after a kill count once
    found = []
    for name, values in series.items():
        points = sorted(values.items())
        title = name.rpartition(".")[2].replace("_", " ")
        label = f"{title} from {points[0][1]:.4g} at step {points[0][0]:g} to {points[-1][1]:.4g} at {points[-1][0]:g}"
        found.append(Curve(title, points[-1][1], _is_loss(name), line(points, label)))
    return sorted(found, key=lambda curve: not curve.is_loss)


def _entries(folder: str) -> Iterator[dict[str, Any]]:
    for text in (storage.read_bytes(f"{folder}/{METRICS}") or b"").splitlines():
        try:
            entry = parse_json(text)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _flat(entry: dict[str, Any], under: str = "") -> Iterator[tuple[str, float]]:
    for name, value in entry.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{under}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{under}{name}", float(value)


def _is_loss(name: str) -> bool:
    return any(part.startswith(LOSSES) or part.endswith(LOSSES) for part in name.split("."))

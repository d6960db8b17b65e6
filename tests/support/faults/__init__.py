"""Mistakes that tests must notice, over all floors of the project; `plant_faults.py` beside this folder plants them."""

from support.faults import engines, flows, learning, models, specs, tasks
from support.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *specs.FAULTS,
    *models.FAULTS,
    *engines.FAULTS,
    *tasks.FAULTS,
    *learning.FAULTS,
    *flows.FAULTS,
)

"""A request: the words in which a command line, a form or a schedule asks for a run."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data_specs.errors import SpecError
from data_specs.specs.run import WORKSPACE
from data_specs.stage import STAGES
from flows.runs.recipes import names
from tasks import storage

RUN_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


@dataclass(frozen=True, slots=True)
class Request:
    """A recipe, settings that override it, and how far to run; what is None is as the recipe or the environment says.

    Raises SpecError for a name that no folder can have, a stage that there is not, or an order in which nothing would run.
    """

    recipe: str = "tiny"
    name: str | None = None
    root: str | None = None
    since: str = STAGES[0]
    until: str = STAGES[-1]
    grow: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word, stage in (("since", self.since), ("until", self.until)):
            if stage not in STAGES:
                raise SpecError(f"--{word} {stage!r} is no stage; stages are {', '.join(STAGES)}")
        if STAGES.index(self.since) > STAGES.index(self.until):
            raise SpecError(f"since {self.since!r} comes after until {self.until!r}; the order is {', '.join(STAGES)}")
        if not re.fullmatch(RUN_NAME, self.run_name):
            whose = "name" if self.name else "the run would be named as its recipe,"
            possible = re.sub(r"[^A-Za-z0-9_-]+", "-", self.run_name)[:64].strip("-_") or "my-run"
            raise SpecError(
                f"{whose} {self.run_name!r}: use letters, digits, - and _ only, at most 64; name the run with --name {possible}"
            )

    @property
    def run_name(self) -> str:
        """Its own, else the recipe's."""
        return self.name or Path(self.recipe).stem

    @property
    def run_root(self) -> str:
        """Its own, else SYNCLR_ROOT, else `workspace`."""
        return storage.expanded(self.root or os.environ.get("SYNCLR_ROOT") or WORKSPACE)

    def parameters(self) -> dict[str, Any]:
        """As parameters of the `synclr` flow; what was left out stays out, so that a run's page shows what was asked for."""
        words = {key: getattr(self, key) for key in ("recipe", "name", "root", "since", "until", "grow")}
        given = {key: value for key, value in words.items() if value is not None}
        return given | ({"settings": self.settings} if self.settings else {})

    def source(self) -> dict[str, Any]:
        """What a plan is resolved from, kept with it: a recipe file by a path that is found from any folder later."""
        path = storage.local_path(self.recipe)
        is_file = path.is_file() and self.recipe not in names()
        return {"recipe": str(path.resolve()) if is_file else self.recipe, "overrides": self.settings}

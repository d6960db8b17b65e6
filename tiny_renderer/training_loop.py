"""Train modules for a number of steps, with snapshots from which a killed training goes on.

A step's batch and noise follow from the step's number alone, so a resumed training goes on as if never stopped.
"""

from __future__ import annotations

import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from data_specs.errors import ContractError, StoppedError
from models.muon import Muon
from tiny_renderer.networks import MovingAverage
from tiny_renderer.snapshots import read_snapshot, write_snapshot

SNAPSHOT_SECONDS = 120.0
REPORT_STEPS = 50
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class TrainingSchedule:
    """Steps, batch size and learning rate: linear warm-up, level, then a cosine to zero over the last ``cool`` of the steps."""

    steps: int
    batch: int
    rate: float
    warmup: int = 100
    cool: float = 0.3
    decay: float = 0.999
    muon: bool = False
    """Whether Muon makes the steps, not AdamW."""

    def rate_at(self, step: int) -> float:
        """Return the learning rate of ``step``."""
        if step < self.warmup:
            return self.rate * (step + 1) / self.warmup
        start = self.steps * (1 - self.cool)
        if step < start:
            return self.rate
        done = min(1.0, (step - start) / max(1.0, self.steps - start))
        return self.rate * max(0.02, 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True, slots=True)
class LossReport:
    """Mean losses and examples per second since the last report."""

    stage: str
    step: int
    losses: Mapping[str, float]
    rate: float
    examples_per_second: float
    seconds: float


class RendererTraining:
    """One stage: modules to train, their average and their optimizer, resumed from ``folder/<stage>.safetensors``."""

    def __init__(self, stage: str, modules: Mapping[str, nn.Module], schedule: TrainingSchedule, folder: Path) -> None:
        self.stage, self.modules, self.schedule, self.folder = stage, modules, schedule, folder
        self.names = [f"{part}.{name}" for part, module in modules.items() for name, _ in module.named_parameters()]
        self.parameters = [parameter for module in modules.values() for parameter in module.parameters()]
        self.average = MovingAverage(self.parameters, schedule.decay)
        kind = Muon if schedule.muon else torch.optim.AdamW
        self.optimizer = kind(self.parameters, lr=schedule.rate, betas=(0.9, 0.99), weight_decay=0.01)
        self.step, self.seconds = 0, 0.0
        self._resume()

    @property
    def path(self) -> Path:
        """Where the stage's snapshot lies."""
        return self.folder / f"{self.stage}.safetensors"

    @property
    def done(self) -> bool:
        """Whether all steps have been made."""
        return self.step >= self.schedule.steps

    def snapshot(self) -> None:
        """Write weights, average, optimizer state, step and time."""
        tensors: dict[str, Tensor] = {}
        for name, parameter, mean in zip(self.names, self.parameters, self.average.values, strict=True):
            tensors[f"now/{name}"], tensors[f"mean/{name}"] = parameter, mean
            for key in ("exp_avg", "exp_avg_sq", "step"):
                if parameter in self.optimizer.state:
                    tensors[f"{key}/{name}"] = self.optimizer.state[parameter][key]
        write_snapshot(self.path, tensors, {"step": self.step, "seconds": self.seconds})

    @torch.no_grad()
    def _resume(self) -> None:
        found = read_snapshot(self.path)
        if found is None:
            return
        tensors, record = found
        shapes = {name: parameter.shape for name, parameter in zip(self.names, self.parameters, strict=True)}
        if {name[4:]: kept.shape for name, kept in tensors.items() if name.startswith("now/")} != shapes:
            raise ContractError(f"{self.path} holds a network of other sizes; train this one in a new work folder")
        self.step, self.seconds = int(record["step"]), float(record["seconds"])
        for name, parameter, mean in zip(self.names, self.parameters, self.average.values, strict=True):
            parameter.copy_(tensors[f"now/{name}"])
            mean.copy_(tensors[f"mean/{name}"])
            if f"exp_avg/{name}" in tensors:
                state = {key: tensors[f"{key}/{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
                self.optimizer.state[parameter] = {**state, "step": tensors[f"step/{name}"]}

    def run(self, losses_of: Callable[[int], Mapping[str, Tensor]]) -> Iterator[LossReport]:
        """Make the steps that are left; ``losses_of(step)`` returns named terms, their sum is what is lowered.

        Raises StoppedError after SIGTERM or SIGINT, with a snapshot on disk, and ContractError, with nothing written, when a
        loss is not a number any more.
        """
        saved = reported = time.monotonic()
        sums: dict[str, float] = {}
        since = 0
        with _stop_signals() as received:
            while not self.done:
                rate = self.schedule.rate_at(self.step)
                for name, value in self._advance(losses_of(self.step), rate).items():
                    sums[name] = sums.get(name, 0.0) + value
                since += 1
                now = time.monotonic()
                if received or self.done or now - saved > SNAPSHOT_SECONDS:
                    self.seconds += now - saved
                    saved = now
                    self.snapshot()
                if received:
                    raise StoppedError(f"{self.stage} stopped at step {self.step}, its snapshot is {self.path}")
                if self.step % REPORT_STEPS == 0 or self.done:
                    per_second = since * self.schedule.batch / max(1e-9, now - reported)
                    means = {name: value / since for name, value in sums.items()}
                    yield LossReport(self.stage, self.step, means, rate, per_second, self.seconds + now - saved)
                    sums, since, reported = {}, 0, now

    def _advance(self, losses: Mapping[str, Tensor], rate: float) -> dict[str, float]:
        """Make one step at a learning rate; return the losses' values."""
        total = torch.stack(list(losses.values())).sum()
        if not math.isfinite(float(total.detach())):
            raise ContractError(
                f"{self.stage}: the loss of step {self.step} is no number; the last snapshot, {self.path}, is whole: "
                "go on from it with a lower rate"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.step += 1
        self.average.update(self.parameters, self.step)
        return {name: float(value.detach()) for name, value in losses.items()}

    def load_average(self) -> None:
        """Replace the modules' weights by the averaged ones; the snapshot on disk keeps both."""
        self.average.copy_to(self.parameters)

    def adopt_weights(self) -> None:
        """Make the modules' present weights the average too, and write a snapshot of them."""
        self.average.assign(self.parameters)
        self.snapshot()


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """The list to which SIGTERM and SIGINT are added in the block, instead of ending the process.

    Python hands signals to the main thread alone; in another one a kill costs the steps since the last snapshot.
    """
    received: list[int] = []
    caught = STOP_SIGNALS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, lambda number, _: received.append(number)) for number in caught}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def append_report(folder: Path, record: Mapping[str, Any]) -> None:
    """Add one line to ``folder/log.jsonl``."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps({"time": round(time.time(), 1), **record}) + os.linesep)

"""Drawings enter, shard by shard; pictures leave, checked and encoded. One thread keeps the engine at work, others encode."""

import hashlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from queue import PriorityQueue
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from data_specs.run import ImagesSpec
from models.renderer.build import build_renderer
from models.renderer.protocol import Drawing, Renderer
from tasks.images.pictures import fault, store

Answer = TypeVar("Answer")

AHEAD = 4
"""Batches that may be drawn and not yet encoded: beyond them the engine waits, so that pixels do not fill the memory."""
ENCODERS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one drawing came to: encoded bytes and their stored size in pixels, or the fault for which it is drawn again."""

    fault: str | None = None
    data: bytes = b""
    width: int = 0
    height: int = 0
    sha256: str = ""


@dataclass(order=True, slots=True)
class _Job:
    """The engine's next piece of work: the shard that came first goes first, also with what it must draw again."""

    turn: int
    number: int
    work: Callable[[], Any] = field(compare=False)
    done: "Future[Any]" = field(compare=False)


class RenderQueue:
    """An engine in a thread of its own, which does nothing else: models are not asked by two threads at once.

    `busy_seconds` is the time for which the engine drew, of the `seconds` since it was first asked.
    """

    def __init__(self, renderer: Renderer, spec: ImagesSpec) -> None:
        self.rendering = renderer.rendering
        self.busy_seconds = 0.0
        self._renderer, self._spec = renderer, spec
        self._began: float | None = None
        self._jobs: PriorityQueue[_Job] = PriorityQueue()
        self._turns, self._numbers = itertools.count(), itertools.count()
        self._encoders = ThreadPoolExecutor(ENCODERS, "encode")
        self._drawn: deque[list[Future[Attempt]]] = deque()
        threading.Thread(target=self._serve, name="render", daemon=True).start()

    @property
    def seconds(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def busy_share(self) -> float:
        return self.busy_seconds / self.seconds if self.busy_seconds else 0.0

    def turn(self) -> int:
        """A place in the order of shards."""
        return next(self._turns)

    def draw(self, turn: int, drawings: Sequence[Drawing]) -> Iterator[Attempt]:
        """One attempt per drawing, in order, as they are done. Raises EngineError if the backend fails."""
        size = self._renderer.batch_size
        batches = [drawings[start : start + size] for start in range(0, len(drawings), size)]
        asked = [self._ask(turn, partial(self._draw, batch)) for batch in batches]
        try:
            for batch in asked:
                for attempt in batch.result():
                    yield attempt.result()
        finally:
            for batch in asked:
                batch.cancel()

    def unseen(self, turn: int, texts: Sequence[str]) -> list[int]:
        """Asked in the engine's thread too: one tokenizer does not serve two threads."""
        return self._ask(turn, partial(self._renderer.unseen, texts)).result()

    def _ask(self, turn: int, work: Callable[[], Answer]) -> "Future[Answer]":
        done: Future[Answer] = Future()
        self._began = self._began or time.monotonic()
        self._jobs.put(_Job(turn, next(self._numbers), work, done))
        return done

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            if not job.done.set_running_or_notify_cancel():
                continue
            try:
                answer = job.work()
            except BaseException as error:  # whatever it is, it belongs to the shard that asked
                job.done.set_exception(error)
            else:
                job.done.set_result(answer)
            del job  # and with it the pictures, while this thread waits

    def _draw(self, drawings: Sequence[Drawing]) -> "list[Future[Attempt]]":
        if len(self._drawn) == AHEAD:
            wait(self._drawn.popleft())
        started = time.monotonic()
        try:
            pictures = self._renderer.render(drawings)
        finally:
            self.busy_seconds += time.monotonic() - started
        self._drawn.append([self._encoders.submit(_encode, pixels, self._spec) for pixels in pictures])
        return self._drawn[-1]


def _encode(pixels: NDArray[np.float32], spec: ImagesSpec) -> Attempt:
    if reason := fault(pixels):
        return Attempt(fault=reason)
    data, width, height = store(pixels, spec.save_size, spec.format, spec.quality)
    return Attempt(data=data, width=width, height=height, sha256=hashlib.sha256(data).hexdigest())


def open_queue(spec: ImagesSpec) -> RenderQueue:
    """Loads the engine. Raises SpecError for weights or a scheduler that are not there."""
    return RenderQueue(build_renderer(spec), spec)

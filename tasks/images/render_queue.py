"""Drawings enter, shard by shard; pictures leave, checked and encoded. One thread keeps the engine at work, others encode."""

import hashlib
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from queue import Empty, PriorityQueue
from typing import Any, TypeVar

from data_specs.image_group import CLIP, SAFETY
from data_specs.run import ImagesSpec
from models.renderer.build import build_renderer
from models.renderer.protocol import Drawing, Pixels, Renderer
from models.scorer.build import build_checker, build_scorer
from models.scorer.protocol import Checker, Scorer
from tasks.images.candidates import Attempt, misfit
from tasks.images.encoding import fault, store

Answer = TypeVar("Answer")
Scores = dict[str, float]

AHEAD = 4
"""Batches that may be drawn and not yet encoded: beyond them the engine waits, so that pixels do not fill the memory."""
ENCODERS = min(8, os.cpu_count() or 1)
DIGITS = 4
"""Of a score: what lies behind them says nothing, and is not the same on every machine."""


@dataclass(order=True, slots=True)
class _Job:
    """The engine's next piece of work: the shard that came first goes first, also with what it must draw again."""

    turn: int
    number: int
    work: Callable[[], Any] = field(compare=False)
    done: "Future[Any]" = field(compare=False)


class RenderQueue:
    """An engine in a thread of its own, which does nothing else: models are not asked by two threads at once.

    `busy_seconds` is the time for which the engine drew, of the `seconds` since it was first asked: what looks at its
    pictures works between two batches, and makes it wait.
    """

    def __init__(
        self, renderer: Renderer, spec: ImagesSpec, scorer: Scorer | None = None, checker: Checker | None = None
    ) -> None:
        self.rendering = renderer.rendering
        self.scorer = scorer.identity if scorer else None
        self.checker = checker.identity if checker else None
        self.busy_seconds = 0.0
        self._renderer, self._spec = renderer, spec
        self._scorer, self._checker = scorer, checker
        self._began: float | None = None
        self._jobs: PriorityQueue[_Job] = PriorityQueue()
        self._turns, self._numbers, self._abandoned = itertools.count(), itertools.count(), 0
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

    def abandon(self) -> None:
        """What has a place in the order and is not begun is not drawn, asked for or still to be: it gets a CancelledError."""
        self._abandoned = self.turn()
        with suppress(Empty):
            while True:
                self._jobs.get_nowait().done.cancel()

    def unseen(self, turn: int, texts: Sequence[str]) -> list[int]:
        """Asked in the engine's thread too: one tokenizer does not serve two threads."""
        return self._ask(turn, partial(self._renderer.unseen, texts)).result()

    def _ask(self, turn: int, work: Callable[[], Answer]) -> "Future[Answer]":
        done: Future[Answer] = Future()
        self._began = self._began or time.monotonic()
        self._jobs.put(_Job(turn, next(self._numbers), work, done))
        if turn < self._abandoned:  # asked after it was put, so that one of the two threads sees it
            done.cancel()
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
        scores = self._look(pictures, drawings)
        encoding = [self._encoders.submit(_encode, *each, self._spec) for each in zip(pictures, scores, strict=True)]
        self._drawn.append(encoding)
        return encoding

    def _look(self, pictures: Sequence[Pixels], drawings: Sequence[Drawing]) -> list[Scores]:
        found: list[Scores] = [{} for _ in pictures]
        if self._scorer:
            fits = self._scorer.score(pictures, [drawing.text for drawing in drawings])
            found = [scores | {CLIP: round(fit, DIGITS)} for scores, fit in zip(found, fits, strict=True)]
        if self._checker:
            beyond = self._checker.check(pictures)
            found = [scores | {SAFETY: round(by, DIGITS)} for scores, by in zip(found, beyond, strict=True)]
        return found


def _encode(pixels: Pixels, scores: Scores, spec: ImagesSpec) -> Attempt:
    if reason := fault(pixels):
        return Attempt(fault=reason)  # what a broken picture scored says nothing
    if reason := misfit(scores, spec):
        return Attempt(fault=reason, scores=scores)
    data, width, height = store(pixels, spec.save_size, spec.format, spec.quality)
    return Attempt(data=data, width=width, height=height, sha256=hashlib.sha256(data).hexdigest(), scores=scores)


def open_queue(spec: ImagesSpec) -> RenderQueue:
    """Loads the engine and what looks at its pictures. Raises SpecError for weights or a scheduler that are not there."""
    return RenderQueue(build_renderer(spec), spec, build_scorer(spec), build_checker(spec))

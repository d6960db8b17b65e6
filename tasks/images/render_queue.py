"""Render, check and encode images of several shards with one engine: one thread keeps it busy, others encode."""

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
from data_specs.specs.images import ImagesSpec
from models.renderer.build import build_renderer
from models.renderer.protocol import Pixels, Renderer, RenderRequest
from models.scorer.build import build_checker, build_scorer
from models.scorer.protocol import Checker, Scorer
from tasks.images.candidates import Attempt, misfit
from tasks.images.encoding import fault, store

Answer = TypeVar("Answer")
Scores = dict[str, float]

AHEAD = 4
"""Batches that may be rendered and not yet encoded; beyond that the engine waits, so that pixels do not fill the memory."""
ENCODERS = min(8, os.cpu_count() or 1)
DIGITS = 4
"""Decimals of a score: further ones mean nothing, and differ between machines."""


@dataclass(order=True, slots=True)
class _Job:
    """A piece of work for the engine: the shard that came first goes first, also with images that it renders again."""

    priority: int
    number: int
    work: Callable[[], Any] = field(compare=False)
    done: "Future[Any]" = field(compare=False)


class RenderQueue:
    """An engine in a thread of its own, since a model must not be called by two threads at once.

    `busy_seconds` is the time for which the engine rendered, of the `seconds` since the first request: scorer and safety
    checker run between two batches, and make it wait.
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
        self._priorities, self._numbers, self._abandoned = itertools.count(), itertools.count(), 0
        self._encoders = ThreadPoolExecutor(ENCODERS, "encode")
        self._encoding: deque[list[Future[Attempt]]] = deque()
        threading.Thread(target=self._serve, name="render", daemon=True).start()

    @property
    def seconds(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began

    @property
    def busy_share(self) -> float:
        return self.busy_seconds / self.seconds if self.busy_seconds else 0.0

    def next_priority(self) -> int:
        """The priority of the next shard; lower ones go first."""
        return next(self._priorities)

    def attempts(self, priority: int, requests: Sequence[RenderRequest]) -> Iterator[Attempt]:
        """One attempt per request, in order, as they are done. Raises EngineError if the backend fails."""
        size = self._renderer.batch_size
        batches = [requests[start : start + size] for start in range(0, len(requests), size)]
        queued = [self._enqueue(priority, partial(self._render_batch, batch)) for batch in batches]
        try:
            for batch in queued:
                for attempt in batch.result():
                    yield attempt.result()
        finally:
            for batch in queued:
                batch.cancel()

    def abandon(self) -> None:
        """Cancel all work that has a priority and has not begun, enqueued or still to be: it raises CancelledError."""
        self._abandoned = self.next_priority()
        with suppress(Empty):
            while True:
                self._jobs.get_nowait().done.cancel()

    def truncated_tokens(self, priority: int, texts: Sequence[str]) -> list[int]:
        """Runs in the engine's thread too: a tokenizer must not be called by two threads at once."""
        return self._enqueue(priority, partial(self._renderer.truncated_tokens, texts)).result()

    def _enqueue(self, priority: int, work: Callable[[], Answer]) -> "Future[Answer]":
        done: Future[Answer] = Future()
        self._began = self._began or time.monotonic()
        self._jobs.put(_Job(priority, next(self._numbers), work, done))
        if priority < self._abandoned:  # compared after `put`, so that this thread or the abandoning one sees it
            done.cancel()
        return done

    def _serve(self) -> None:
        while True:
            job = self._jobs.get()
            if not job.done.set_running_or_notify_cancel():
                continue
            try:
                answer = job.work()
            except BaseException as error:  # whatever it is, it belongs to the shard that enqueued the job
                job.done.set_exception(error)
            else:
                job.done.set_result(answer)
            del job  # and with it the images, while this thread waits

    def _render_batch(self, requests: Sequence[RenderRequest]) -> "list[Future[Attempt]]":
        if len(self._encoding) == AHEAD:
            wait(self._encoding.popleft())
        started = time.monotonic()
        try:
            images = self._renderer.render(requests)
        finally:
            self.busy_seconds += time.monotonic() - started
        scores = self._scores(images, requests)
        encoding = [self._encoders.submit(_encode, *each, self._spec) for each in zip(images, scores, strict=True)]
        self._encoding.append(encoding)
        return encoding

    def _scores(self, images: Sequence[Pixels], requests: Sequence[RenderRequest]) -> list[Scores]:
        found: list[Scores] = [{} for _ in images]
        if self._scorer:
            fits = self._scorer.score(images, [request.text for request in requests])
            found = [scores | {CLIP: round(fit, DIGITS)} for scores, fit in zip(found, fits, strict=True)]
        if self._checker:
            beyond = self._checker.check(images)
            found = [scores | {SAFETY: round(by, DIGITS)} for scores, by in zip(found, beyond, strict=True)]
        return found


def _encode(pixels: Pixels, scores: Scores, spec: ImagesSpec) -> Attempt:
    if reason := fault(pixels):
        return Attempt(fault=reason)  # the scores of a broken image mean nothing
    if reason := misfit(scores, spec):
        return Attempt(fault=reason, scores=scores)
    data, width, height = store(pixels, spec.save_size, spec.format, spec.quality)
    return Attempt(data=data, width=width, height=height, sha256=hashlib.sha256(data).hexdigest(), scores=scores)


def open_queue(spec: ImagesSpec) -> RenderQueue:
    """Loads the engine, scorer and safety checker. Raises SpecError for weights or a scheduler that are not there."""
    return RenderQueue(build_renderer(spec), spec, build_scorer(spec), build_checker(spec))

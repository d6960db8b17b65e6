"""An engine in a process of its own: it is loaded once, serves many shards, and is gone with its memory at the end.

Two engines in one process fight over GPU memory, and an engine that dies takes its process along; so each lives in a
child that this module starts, and starts anew after a crash.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from types import TracebackType
from typing import ParamSpec, TypeVar

from data_specs.errors import EngineError

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class EngineProcess:
    """Runs functions one at a time in one child process, started at the first call.

    The functions and their arguments are pickled between live processes of one program, never to disk. A function
    keeps its engine in a module-level cache, so that later calls in the same child find it loaded.
    """

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._pool: ProcessPoolExecutor | None = None
        self._turn = threading.Lock()

    def call(
        self, function: Callable[Arguments, Result], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Result:
        """Raises what the function raises; EngineError if the child dies, and the next call starts another."""
        with self._turn:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1, multiprocessing.get_context("spawn"), initializer=_prepare, initargs=(self._threads,)
                )
            try:
                return self._pool.submit(function, *args, **kwargs).result()
            except BrokenProcessPool as error:
                self._pool = None
                raise EngineError(f"the engine's process died in {function.__name__}; starting another") from error

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is None:
            return
        if error is not None:  # nobody waits for the shard in hand any more: it is made again from its plan
            for process in list(self._pool._processes.values()):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _prepare(threads: int) -> None:
    """In the child, before any heavy import: its share of the cores, and an end when its parent ends."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    # A parent that is killed cannot stop its children: without this an engine would hold its memory for ever.
    wait([sentinel])
    os._exit(1)

"""An engine in a process of its own: it is loaded once, serves many shards, and is gone with its memory at the end.

Two engines in one process fight over GPU memory, and an engine that dies takes its process along; so each lives in a
child that this module starts, and restarts after a crash.
"""

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from data_specs.errors import EngineError, StoppedError
from data_specs.specs.run import ExecutionSpec
from tasks.events import Alive, Emit, Event, ignore
from tasks.processes import ENDED, KILL_SECONDS, end_with_starter, kill_group, state

Result = TypeVar("Result")
Engine = TypeVar("Engine")
Specification = TypeVar("Specification", bound=BaseModel)

LOOK_SECONDS = 0.2
"""Between two looks at the events of a child."""
END_SECONDS = 30.0
"""An engine with nothing to do ends within so long, or is ended: a driver may hang when it is let go of."""
_loaded: dict[tuple[str, str], Any] = {}
_events: Connection | None = None
"""In a child: where its events go. Set before anything is called there."""
_sending = threading.Lock()
logger = logging.getLogger("synclr")


@dataclass(frozen=True, slots=True)
class Watch:
    """After `seconds` without a sign of life of an engine at work, `tell` is told, and again after as many; `replace` ends it.

    Signs of life are its events, and the calls of `EngineProcess.alive`. That its process computes is none: one that waits for
    a GPU in vain does so too.
    """

    seconds: float
    replace: bool
    tell: Callable[[str], None]


class EngineProcess:
    """Runs functions one at a time in one child process, started at the first call.

    The functions and their arguments are pickled between live processes of one program, never to disk. A function
    keeps its engine in a module-level cache, so that later calls in the same child find it loaded. What it emits in the
    child reaches the `emit` of its call here, while the call lasts.
    """

    def __init__(self, threads: int, log: Path | None = None, watch: Watch | None = None) -> None:
        """`threads` CPU threads for the engine; what it prints goes to the end of `log`."""
        self._settings = (threads, log)
        self._watch, self._heard = watch, time.monotonic()
        self._pool: ProcessPoolExecutor | None = None
        # The kernel ends the child when the thread that started it ends, and a task's thread ends with its task.
        self._starter: ThreadPoolExecutor | None = None
        self._events: Connection | None = None
        self._turn, self._opening = threading.Lock(), threading.Lock()
        self._closed = self._ended = False

    def call(self, function: Callable[..., Result], *args: Any, emit: Emit = ignore) -> Result:
        """The result of `function(*args, emit=...)` in the child.

        Raises what the function raises; EngineError if the child dies, or says nothing for so long that it is replaced. After
        an EngineError the next call starts another.
        """
        with self._turn:
            try:
                return self._followed(self._begun(function, *args), function.__name__, emit)
            except (BrokenProcessPool, CancelledError) as error:
                self._require_open(function.__name__)
                self._let_go()
                raise EngineError(f"the engine's process died in {function.__name__}; starting another") from error
            except EngineError:
                # What is left of the failed call stays in the engine, and a GPU's error in its process: a retry gets a new one.
                self._let_go()
                raise

    def alive(self) -> None:
        """Count what whoever called has seen of the engine's work, in its files say, as a sign of life."""
        self._heard = time.monotonic()

    def _begun(self, function: Callable[..., Result], *args: Any) -> Future[Result]:
        """Under a lock, so that whoever closes the engine meanwhile finds either no process or a whole one."""
        with self._opening:
            if self._closed:  # the run is stopping: a retry must not bring back what was just ended
                raise StoppedError(f"{function.__name__} was not started: the run is stopping")
            if self._pool is None or self._starter is None:
                _start_tracker()
                spawning = multiprocessing.get_context("spawn")
                self._events, child_end = spawning.Pipe(duplex=False)
                self._pool = ProcessPoolExecutor(1, spawning, _prepare, (*self._settings, child_end))
                self._starter = ThreadPoolExecutor(1, "engine")
            self.alive()
            return self._starter.submit(self._pool.submit, _emitting, function, *args).result()

    def _let_go(self, *, patience: float = 0.0) -> None:
        """End the process, if there is one: after `patience` seconds, in which it may end by itself."""
        with self._opening:
            pool, starter, self._pool, self._starter = self._pool, self._starter, None, None
        if pool is None or starter is None:
            return
        starter.submit(int).result()  # a process that it is starting at this moment is to be found
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        try:
            wait([process.sentinel for process in processes], patience)
        finally:
            for process in processes:
                if process.pid and process.is_alive():
                    kill_group(process.pid)
                process.join(KILL_SECONDS)
                # One that another thread has waited for counts as alive here.
                if process.is_alive() and (shown := state(process.pid or 0)) != ENDED:
                    logger.warning("the engine's process %s cannot be ended: it is %s", process.pid, shown)
            starter.shutdown(wait=False)  # last: its thread's end is the process's

    def _followed(self, call: Future[Result], name: str, emit: Emit) -> Result:
        while wait_for([call], LOOK_SECONDS).not_done:
            self._require_open(name)
            self._pass_on(emit)
            self._require_alive(name)
        self._pass_on(emit)
        return call.result()

    def _require_open(self, name: str) -> None:
        if self._ended:
            raise StoppedError(f"{name} was ended: the run is stopping")

    def _require_alive(self, name: str) -> None:
        watch, pool = self._watch, self._pool
        if watch is None or pool is None or time.monotonic() - self._heard < watch.seconds:
            return
        self.alive()
        where = ", ".join(f"process {pid}, which is {state(pid)}" for pid in pool._processes or {})
        said = f"no sign of life for {watch.seconds:g} s: {name} in {where or 'no process'}"
        if watch.replace:
            raise EngineError(f"an engine has given {said}; starting another")
        watch.tell(f"an engine has given {said}; execution.replace_silent=true replaces such ones")

    def _pass_on(self, emit: Emit) -> None:
        # An event is smaller than what a pipe takes at once, so a child that is killed leaves none half-sent.
        with suppress(EOFError):  # it is gone, and so is whoever started it
            while self._events and self._events.poll():
                event = self._events.recv()
                self.alive()
                if not isinstance(event, Alive):
                    emit(event)

    def __enter__(self) -> "EngineProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        if error is None:
            try:
                with self._turn:
                    self._let_go(patience=END_SECONDS)
                return
            except BaseException:  # Ctrl-C, here
                self._ended = True
                self._let_go()
                raise
        # Nobody waits for the shard in hand any more: it is made again from its plan.
        self._ended = True
        self._let_go()


def _start_tracker() -> None:
    """Start, where it is not there yet, the process of Python's that removes the semaphores of engines that were ended.

    It does so in silence: after Ctrl-C its warning of leaked objects is a riddle on the terminal, and nothing is left to do.
    """
    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker:UserWarning")))
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before


def engine_threads(execution: ExecutionSpec, shards: int) -> int:
    """CPU threads of each of so many engines of one stage. It is to follow from the recipe, not from what a run still lacks:

    sums of another number of threads round differently (2e-6, measured), and now and then a byte is another.
    """
    return execution.threads or max(1, (os.cpu_count() or 1) // min(execution.workers, shards))


def loaded(build: Callable[[Specification], Engine], spec: Specification) -> Engine:
    """The engine that `build(spec)` makes, made once per process and kept for the shards to come."""
    key = (build.__qualname__, spec.model_dump_json())
    if key not in _loaded:
        _loaded.clear()  # one engine a process: the one before must be gone before the next takes its memory
        _loaded[key] = build(spec)
    return cast(Engine, _loaded[key])


def _prepare(threads: int, log: Path | None, events: Connection) -> None:
    """Prepare a child before any heavy import: its share of the cores, its log, its events, and an end when its parent ends.

    It leads a group of processes, so that it is ended with all that it starts, and hears nothing of its parent's terminal.
    """
    os.setsid()
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # Threads that spin while they wait take the core from the engine beside them: 1.8 instead of 8 captions/s, measured.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # NumPy's, which spin whatever is set: 12 instead of 33 s of ridge
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer: it ends its children itself
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            os.dup2(stream.fileno(), 1)
            os.dup2(stream.fileno(), 2)
    global _events
    _events = events
    end_with_parent()


def _emitting(function: Callable[..., Result], *args: Any) -> Result:
    """In the child: the call, with an `emit` that sends events to the parent."""
    return function(*args, emit=_send)


def _send(event: Event) -> None:
    with _sending:
        if _events is not None:
            _events.send(event)


def end_with_parent() -> None:
    """From now on this process ends when the one that started it does, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        end_with_starter(signal.SIGKILL)
        # Where the parent ended just before, or there is no such wish to a kernel.
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    # A parent that is killed cannot stop its children: without this an engine would hold its memory for ever.
    wait([sentinel])
    os._exit(1)

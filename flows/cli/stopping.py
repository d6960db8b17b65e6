"""Stop at Ctrl-C, SIGTERM or SIGHUP: in order if that takes seconds, and otherwise without.

A signal is noticed by a thread, which Python lets hear of it even where the main thread hangs in a driver or on a disk.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tasks.processes import kill_descendants

GRACE_SECONDS = 15.0
"""For the orderly way: runs are written down as stopped, engines and the server are ended, each within seconds."""
SIGNALS = {signal.SIGINT: "", signal.SIGTERM: " by SIGTERM", signal.SIGHUP: " by SIGHUP: its terminal is gone"}


class Stopping:
    """Which signal stops this command, if one does."""

    def __init__(self, grace: float) -> None:
        self.received: signal.Signals | None = None
        self._grace, self._interrupted, self._over = grace, False, threading.Event()
        self._read, self.wakes = os.pipe()
        """The kernel's part of a signal writes its number to `wakes`, before Python's."""
        os.set_blocking(self.wakes, False)
        threading.Thread(target=self._watch, name="stopping", daemon=True).start()

    @property
    def code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + (self.received or signal.SIGINT)

    @property
    def line(self) -> str:
        return f"stopped{SIGNALS[self.received or signal.SIGINT]}; what is sealed stays, the same command goes on"

    def answer(self, number: int, _frame: object) -> None:
        """Interrupt the main thread, once: a second exception would break off what the first one tidies."""
        self.received = self.received or signal.Signals(number)
        if not self._interrupted:
            self._interrupted = True
            raise KeyboardInterrupt

    def close(self) -> None:
        """The block is over. What a signal has stopped is still watched: Python's own end may hang too."""
        if self.received is None:
            self._over.set()
        os.close(self.wakes)

    def _watch(self) -> None:
        numbers = set(map(int, SIGNALS))
        while data := os.read(self._read, 64):
            if known := [number for number in data if number in numbers]:
                self.received = self.received or signal.Signals(known[0])
                if not self._over.wait(self._grace):
                    self._leave()
                break
        os.close(self._read)

    def _leave(self) -> None:
        """Whatever hangs: nothing that this process has started is left behind, but what the kernel itself holds."""
        held = kill_descendants()
        threading.Timer(1, os._exit, [self.code]).start()  # a terminal may hang too
        with suppress(OSError, ValueError):
            print(f"synclr: {self.line}", file=sys.stderr, flush=True)
            if held:
                processes = ", ".join(map(str, held))
                print(
                    f"synclr: the kernel holds {processes} until a driver or disk answers", file=sys.stderr, flush=True
                )
        os._exit(self.code)


@contextmanager
def stopped_by_signals(grace: float = GRACE_SECONDS) -> Iterator[Stopping]:
    """For the block. What was ignored stays so: `nohup` ignores SIGHUP, a shell SIGINT of what it runs in the background."""
    stopping = Stopping(grace)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    waking = signal.set_wakeup_fd(stopping.wakes, warn_on_full_buffer=False)
    try:
        for number in heard:
            signal.signal(number, stopping.answer)
        yield stopping
    finally:
        signal.set_wakeup_fd(waking)
        for number in heard:
            # Once it is being stopped, a further signal would end it in the middle of its end, by another code.
            signal.signal(number, signal.SIG_IGN if stopping.received else before[number])
        stopping.close()

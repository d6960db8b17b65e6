"""A process that is kept running: started again when it ends, gone with all that it started, and with whoever keeps it."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from data_specs.errors import EngineError
from tasks.processes import end_with_starter

SHORT_LIVED_SECONDS = 20
MOST_SHORT_LIVES = 3


class KeptProcess:
    """`name` is what messages call it; what it prints goes to the end of `log`."""

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        self._command, self._environment = command, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._began, self._short_lives = 0.0, 0

    def start(self) -> None:
        """Raises EngineError if it has ended by itself, soon after its start, three times in a row; a kill is no such end."""
        if (code := self.code) is not None:
            short = code > 0 and time.monotonic() - self._began < SHORT_LIVED_SECONDS
            self._short_lives = self._short_lives + 1 if short else 0
            if self._short_lives >= MOST_SHORT_LIVES:
                raise EngineError(
                    f"the {self.name} ended at once with code {code}, {MOST_SHORT_LIVES} times; see {self.log}"
                )
            self.stop()
        self._began = time.monotonic()
        with self.log.open("ab") as output:
            # Its own session, so that Ctrl-C at the terminal reaches it only through us.
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    @property
    def code(self) -> int | None:
        """Its exit code if it was started and has ended: minus the signal's number if it was killed."""
        return self._process.poll() if self._process else None

    def stop(self) -> None:
        if self._process:
            stop(self._process)


def end_with_parent() -> None:
    # A parent that is killed cannot stop its children (Linux; elsewhere the server would stay).
    end_with_starter(signal.SIGTERM)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """The whole group: servers and workers start processes of their own, and nothing may be left behind."""
    with suppress(ProcessLookupError):  # the group is empty
        for seconds in (8, 4):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=seconds)
        # A worker that is asked twice ends at once, and may leave its flow behind.
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

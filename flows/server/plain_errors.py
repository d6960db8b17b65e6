"""Say in one line what went wrong, where a person or a machine can have caused it; in Prefect's runs too."""

import errno
import logging
import os
import re

from data_specs.errors import SynclrError, in_one_line

WAYS_OUT = {
    errno.ENOSPC: "make space there, or choose another root with --root or SYNCLR_ROOT",
    errno.EDQUOT: "your quota is used up: make space, or choose another root with --root or SYNCLR_ROOT",
    errno.EMFILE: "allow more: ulimit -n 65536, then the same command",
    errno.ENFILE: "the whole machine has too many: end something that opens many",
    errno.EROFS: "it can only be read: choose another root with --root or SYNCLR_ROOT",
    errno.EACCES: "its owner must allow it, or choose another root with --root or SYNCLR_ROOT",
    errno.EPERM: "its owner must allow it, or choose another root with --root or SYNCLR_ROOT",
    errno.EIO: "the disk cannot be read or written: look into the machine's log",
    errno.ESTALE: "the network file system has lost it: mount it again",
    errno.ENAMETOOLONG: "choose a root with a shorter path",
    errno.ENOENT: "it has been taken away, or its disk",
    errno.EAGAIN: "allow more processes (ulimit -u, or the container's limit) and memory (ulimit -v)",
    errno.ENOMEM: "use fewer engines at once (execution.workers) or smaller models",
}
CODES = re.compile(r"(?:[Ee]rrno|os error|code:)\s*(\d+)")
"""How Arrow and safetensors tell the number of an error that the kernel has given them."""
NO_THREAD = "can't start new thread"
"""All that Python says where the kernel gives no thread."""
STORES = ("botocore", "aiobotocore", "aiohttp", "s3fs", "gcsfs", "adlfs", "fsspec")


def explained(error: BaseException) -> str | None:
    """What went wrong, where, and the way out; None for what only a fault of the program can cause."""
    home = type(error).__module__.partition(".")[0]
    if isinstance(error, SynclrError):
        return str(error)
    said = in_one_line(error)
    if (number := _number(error, home)) is not None:
        way_out, where = WAYS_OUT.get(number), getattr(error, "filename", None)
        if way_out is None and not where:
            return None
        return f"{os.strerror(number)}: {where or said}" + (f"; {way_out}" if way_out else "")
    if isinstance(error, MemoryError):
        return f"memory ran out ({said}); {WAYS_OUT[errno.ENOMEM]}"
    if isinstance(error, RuntimeError) and said == NO_THREAD:
        return f"{said}: the kernel gives no more; {WAYS_OUT[errno.EAGAIN]}"
    if home in STORES:
        return f"the object storage of the root cannot be used: {type(error).__name__}: {said}"
    if home in ("httpx", "httpcore") or type(error).__name__ == "PrefectHTTPStatusError":
        return f"Prefect's server does not answer as it should: {said}; what is sealed stays, the same command goes on"
    return None


def one_line(error: BaseException) -> str:
    """What went wrong, whatever it was."""
    return explained(error) or f"{type(error).__name__}: {in_one_line(error)}"


def _number(error: BaseException, home: str) -> int | None:
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = (
        CODES.search(str(error)) if isinstance(error, OSError) or home.startswith(("safetensors", "pyarrow")) else None
    )
    return int(found[1]) if found else None


class PlainErrors(logging.Filter):
    """Our messages name the thing, its value and the way out; 190 lines of engine around them hid that."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and (line := explained(error)):
            record.msg, record.args = f"{type(error).__name__}: {line}", ()
            record.exc_info = record.exc_text = None
        return True


def log_plainly() -> None:
    for runs in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(runs)
        if not any(isinstance(known, PlainErrors) for known in logger.filters):
            logger.addFilter(PlainErrors())

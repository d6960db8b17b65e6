"""A person reads one line of what went wrong; what is not ours keeps its traceback."""

import errno
import logging
import pickle

import httpx
import pyarrow
import pytest

from data_specs.errors import ContractError
from flows.server.plain_errors import explained, log_plainly


def test_our_errors_are_one_line_and_foreign_ones_keep_their_traceback(caplog, monkeypatch):
    logger = logging.getLogger("prefect.flow_runs")
    monkeypatch.setattr(logger, "propagate", True)
    monkeypatch.setattr(logging.getLogger("prefect"), "propagate", True)
    log_plainly()
    log_plainly()
    for error in (ContractError("captions-000001.tar is damaged"), ZeroDivisionError("one by none")):
        try:
            raise error
        except Exception:
            logger.exception("Encountered exception during execution: %r", error)
    ours, foreign = caplog.records
    assert ours.getMessage() == "ContractError: captions-000001.tar is damaged" and not ours.exc_info
    assert foreign.exc_info and "one by none" in foreign.getMessage()
    assert sum(type(known).__name__ == "PlainErrors" for known in logger.filters) == 1


def of_library(module, name="Error", base=Exception):
    return type(name, (base,), {"__module__": module})


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "x", "/data/i-000001.tar"), "No space left on device: /data/i-000001.tar; make space"),
        (OSError(errno.EDQUOT, "x", "/data/a"), "Disk quota exceeded: /data/a; your quota is used up"),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files: .*; allow more: ulimit -n 65536"),
        (OSError(errno.EROFS, "x", "/data/a"), "Read-only file system: /data/a; it can only be read"),
        (PermissionError(errno.EACCES, "x", "/data/a"), "Permission denied: /data/a; its owner must allow it"),
        (OSError(errno.ESTALE, "x", "/data/a"), "Stale file handle: /data/a; the network file system has lost it"),
        (OSError(errno.EIO, "x", "/data/a"), "/data/a; the disk cannot be read"),
        (FileNotFoundError(errno.ENOENT, "x", "/data/a"), "/data/a; it has been taken away"),
        (
            pyarrow.ArrowException("Error writing bytes to file. Detail: [errno 28] No space left on device"),
            "No space left on device: Error writing bytes to file",
        ),
        (
            of_library("safetensors_rust")('Error while serializing: I/O error: No space left on device (os error 28)'),
            "No space left on device: Error while serializing",
        ),
        (RuntimeError("can't start new thread"), "can't start new thread: the kernel gives no more; allow more processes"),
        (BlockingIOError(errno.EAGAIN, "x"), "Resource temporarily unavailable: .*; allow more processes"),
        (MemoryError(), "memory ran out .MemoryError.; use fewer engines at once"),
        (of_library("botocore.exceptions", "NoCredentialsError")("Unable to\nlocate"), "NoCredentialsError: Unable to"),
        (httpx.ConnectError("All connection attempts failed"), "Prefect's server does not answer as it should: All connection"),
        (of_library("prefect.exceptions", "PrefectHTTPStatusError")("503"), "does not answer as it should: 503"),
        (ContractError("captions-000001.tar is damaged"), "^captions-000001.tar is damaged$"),
    ],
)  # fmt: skip
def test_what_a_machine_does_is_one_line_with_where_and_the_way_out(error, said):
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(explained(error))
    assert "\n" not in explained(error)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("x"), KeyError("a"), OSError("no number"), OSError(errno.EBADF, "x")]
)
def test_a_fault_of_the_program_keeps_its_traceback(error):
    assert explained(error) is None


def test_where_a_disk_was_full_is_told_across_processes(tmp_path):
    from tasks import storage

    url = str(tmp_path / "images-000001.tar")
    with pytest.raises(OSError, match="No space") as full, storage.parts_for(url, apart=True):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert url in explained(pickle.loads(pickle.dumps(full.value)))

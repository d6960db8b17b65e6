"""Processes that train one encoder together: on this host, or under torchrun on many.

    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m tasks.encoder.ranks JOB.json

`JOB.json` is a `TrainingJob`; a run writes it beside its encoder as `job.json`. Once torchrun is done, the run goes on
from the last checkpoint and seals the encoder.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import torch
from torch import distributed
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from data_specs.errors import EngineError, SynclrError
from tasks.encoder.train_steps import train
from tasks.encoder.training_job import TrainingJob
from tasks.engines import end_with_parent


def train_on_ranks(job: TrainingJob) -> None:
    """Train in `ranks` processes on this host. Raises what a rank that failed raised; EngineError if one died."""
    threads = max(1, torch.get_num_threads() // job.spec.ranks)
    with tempfile.TemporaryDirectory() as folder:
        try:
            spawn(_rank, (folder, job, threads), nprocs=job.spec.ranks)  # type: ignore[no-untyped-call]
        except (ProcessExitedException, ProcessRaisedException) as error:
            died = EngineError(f"a training process died: {str(error).splitlines()[-1]}")
            raise (_cause(Path(folder)) or died) from error


def _cause(folder: Path) -> SynclrError | None:
    """Of the errors that ranks left, the one to raise: a rank whose neighbour failed fails too, with an EngineError."""
    kinds, errors = {kind.__name__: kind for kind in _kinds(SynclrError)}, list[SynclrError]()
    for path in sorted(folder.glob("error-*")):
        kind, _, message = path.read_text("utf-8").partition(" ")
        errors.append(kinds[kind](message))
    return next((error for error in errors if not isinstance(error, EngineError)), errors[0] if errors else None)


def _kinds(error: type[SynclrError]) -> list[type[SynclrError]]:
    return [error, *(kind for each in error.__subclasses__() for kind in _kinds(each))]


def _rank(rank: int, folder: str, job: TrainingJob, threads: int) -> None:
    end_with_parent()
    torch.set_num_threads(threads)
    os.environ["LOCAL_RANK"] = str(rank)
    # A file to meet at, and the loopback to talk over: no port is opened to others.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
    distributed.init_process_group(
        _backend(), init_method=f"file://{folder}/meeting", rank=rank, world_size=job.spec.ranks
    )
    try:
        train(job)
    except SynclrError as error:
        Path(folder, f"error-{rank}").write_text(f"{type(error).__name__} {error}", "utf-8")
        raise
    finally:
        distributed.destroy_process_group()
    _leave()


def _leave() -> NoReturn:
    """End this process at once: all that it trained is on disk.

    Python's own end takes the interpreter down while threads of gloo and autograd still run; one that then lets go of a
    tensor aborts the process (pytorch issue 190489). Seen once: rank 1 of 2, SIGABRT.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _backend() -> str:
    if not torch.cuda.is_available():
        return "gloo"
    torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return "nccl"


def main(path: str) -> None:
    """One rank under torchrun, which says where ranks meet."""
    job = TrainingJob.model_validate_json(Path(path).read_bytes())
    distributed.init_process_group(_backend())
    try:
        train(job)
    finally:
        distributed.destroy_process_group()
    _leave()


if __name__ == "__main__":
    main(sys.argv[1])

"""One training job enters; processes that train together leave its checkpoints: on this host, or under torchrun on many.

    torchrun --nnodes 2 --nproc-per-node 8 --rdzv-backend c10d --rdzv-endpoint HOST:29500 -m tasks.encoder.ranks JOB.json

`JOB.json` is what `Job` says; the walk writes it beside the encoder as `job.json`. Once torchrun is done, the walk goes on
from the last checkpoint and seals the encoder.
"""

import os
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

import torch
from pydantic import BaseModel, ConfigDict
from torch import distributed
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException, spawn

from data_specs.errors import EngineError, SynclrError
from data_specs.run import EncoderSpec
from data_specs.shard import ShardAddress
from tasks.encoder.train import learn
from tasks.engines import end_with_parent


class Job(BaseModel):
    """What every rank is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: tuple[ShardAddress, ...]
    address: ShardAddress
    spec: EncoderSpec
    seed: int


def learn_together(job: Job) -> None:
    """`ranks` processes on this host. Raises what a rank that failed raised; EngineError if one died."""
    threads = max(1, torch.get_num_threads() // job.spec.ranks)
    with tempfile.TemporaryDirectory() as folder:
        try:
            spawn(_rank, (folder, job, threads), nprocs=job.spec.ranks)  # type: ignore[no-untyped-call]
        except (ProcessExitedException, ProcessRaisedException) as error:
            raise (
                _told(Path(folder)) or EngineError(f"a training process died: {str(error).splitlines()[-1]}")
            ) from error


def _told(folder: Path) -> SynclrError | None:
    """A rank whose neighbour failed fails too, as if its engine had: what is no EngineError is the cause."""
    named, told = {each.__name__: each for each in _kinds(SynclrError)}, list[SynclrError]()
    for path in sorted(folder.glob("error-*")):
        kind, _, message = path.read_text("utf-8").partition(" ")
        told.append(named[kind](message))
    return next((error for error in told if not isinstance(error, EngineError)), told[0] if told else None)


def _kinds(error: type[SynclrError]) -> list[type[SynclrError]]:
    return [error, *(kind for each in error.__subclasses__() for kind in _kinds(each))]


def _rank(rank: int, folder: str, job: Job, threads: int) -> None:
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
        learn(job.sources, job.address, job.spec, job.seed)
    except SynclrError as error:
        Path(folder, f"error-{rank}").write_text(f"{type(error).__name__} {error}", "utf-8")
        raise
    finally:
        distributed.destroy_process_group()
    _leave()


def _leave() -> NoReturn:
    """Ends this process as it is, all that it learned being on disk.

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
    """Under torchrun, which says who meets where."""
    job = Job.model_validate_json(Path(path).read_bytes())
    distributed.init_process_group(_backend())
    try:
        learn(job.sources, job.address, job.spec, job.seed)
    finally:
        distributed.destroy_process_group()
    _leave()


if __name__ == "__main__":
    main(sys.argv[1])

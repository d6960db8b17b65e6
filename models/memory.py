"""Tell whether an exception of any backend means that memory ran out, and release it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from data_specs.errors import EngineError

NO_MEMORY = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory", "alloc_failed")
"""What allocators say that raise no class of their own: the CPU's, cuBLAS and cuDNN for their workspaces, the kernel."""


def is_out_of_memory(error: BaseException) -> bool:
    """True for CUDA's OutOfMemoryError, and for what other allocators raise instead."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error).lower() for words in NO_MEMORY)


def give_back() -> None:
    """What a batch that failed has left. Call it outside of `except`, whose traceback still holds the tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def building(what: str, way_out: str) -> Iterator[None]:
    """An engine that memory does not hold while it is built fails as one, so that it is tried again and a way out is told."""
    give_back()  # what a try before this one has left: models hold themselves in circles
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        said = " ".join(str(error).split())[:200]
        raise EngineError(f"{what} does not fit into memory: {said}; {way_out}") from error

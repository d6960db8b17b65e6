"""An exception of any backend enters; whether it says that memory ran out leaves, and so does the memory."""

import gc

import torch

NO_MEMORY = ("not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory")
"""What allocators say that raise a plain RuntimeError: the CPU's has no class of its own."""


def is_out_of_memory(error: BaseException) -> bool:
    """True for CUDA's OutOfMemoryError, and for what the CPU's allocators raise instead."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in NO_MEMORY)


def give_back() -> None:
    """What a batch that failed has left. Call it outside of `except`, whose traceback still holds the tensors."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

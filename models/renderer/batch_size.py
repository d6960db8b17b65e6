"""Find how many images fit into memory at once, from the memory that a few of them take."""

from collections.abc import Callable

from models.memory import give_back, is_out_of_memory

FEW = 4
MOST = 64
"""Fewer than this keep a GPU busy; a larger batch only delays the first image, and a stop."""
SPARE = 0.9
"""Share of the free memory to use: it is allocated in blocks that leave gaps."""
CPU_PIXELS = 32 * 64 * 64
"""A CPU gains no speed from large batches, only from fewer calls: 32 of the tiny model's images, 1 of 512 x 512."""


def fitting_batch(peak: Callable[[int], int], free: int) -> int:
    """The largest power of two that fits into `free` bytes; `peak(n)` renders n images and returns the bytes they held.

    Memory is a + b n, the weights and what each image adds; two measurements give both.
    """
    one = peak(1)
    several = None
    try:
        several = peak(FEW)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
    if several is None:
        give_back()
        return FEW // 2
    each = max(1, (several - one) / (FEW - 1))
    fits = 1 + (SPARE * free - one) / each
    size = 1
    while size * 2 <= min(fits, MOST):
        size *= 2
    return size


def batch_for_cpu(side: int) -> int:
    return max(1, min(32, CPU_PIXELS // side**2))

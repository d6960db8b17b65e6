"""How much memory few pictures take enters; how many fit at once leaves."""

from collections.abc import Callable

from models.memory import give_back, is_out_of_memory

FEW = 4
MOST = 64
"""A GPU is busy with fewer than this; a larger batch only makes the first picture, and a stop, wait longer."""
SPARE = 0.9
"""Of what is free: memory comes in blocks that leave gaps."""
CPU_PIXELS = 32 * 64 * 64
"""A CPU gains no speed from large batches, only from fewer calls: 32 of the tiny model's pictures, 1 of 512 x 512."""


def fitting_batch(peak: Callable[[int], int], free: int) -> int:
    """The largest power of two that fits into `free` bytes; `peak(n)` draws n pictures and says how many bytes they held.

    Memory is a + b n: the weights, and what each picture adds. Two points give both.
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

"""Schedules: the value of a setting at a step. Pure; steps count from 0 and `total` is the number of steps."""

import math


def linear(step: int, steps: int, start: float, end: float) -> float:
    """Linear from start to end over `steps`, then end (the teacher's temperature, SynCLR section 3.4)."""
    return end if step >= steps else start + (end - start) * step / steps


def cosine(step: int, total: int, start: float, end: float) -> float:
    """Half a cosine from start to end (weight decay, EMA momentum: SynCLR section 3.3 and Table 12)."""
    progress = min(step / total, 1.0) if total > 0 else 1.0
    return end - 0.5 * (1.0 + math.cos(math.pi * progress)) * (end - start)


def warmup_cosine(step: int, total: int, peak: float, warmup: int, floor: float = 0.0) -> float:
    """Learning rate: linear from 0 over the warm-up, then half a cosine down to the floor (SynCLR Table 12).

    The first step of a warm-up takes one warm-up fraction of the peak, not 0: an update of nothing is a lost batch.
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    return cosine(step - warmup, total - warmup, peak, floor)

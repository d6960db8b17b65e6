"""Drawings enter; pictures leave, drawn in batches that fit into memory. One that does not is halved; none drawn is lost."""

import logging
from collections.abc import Callable, Sequence

from data_specs.errors import EngineError, SynclrError
from models.memory import give_back, is_out_of_memory
from models.renderer.protocol import Drawing, Pixels

Draw = Callable[[Sequence[Drawing], int], list[Pixels]]
"""Draws up to so many pictures in one call of that size: a batch that is short is filled up and cut."""
logger = logging.getLogger("synclr")


class Batches:
    """Batches of one shape, so that nothing is compiled or planned anew; `size` is the largest that has fitted so far.

    It is remembered for as long as the engine lives: what did not fit once is not tried again for every shard.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def draw(self, drawings: Sequence[Drawing], draw: Draw) -> list[Pixels]:
        """One picture per drawing, in order. Raises EngineError if one picture does not fit, or the backend fails."""
        pictures: list[Pixels] = []
        while len(pictures) < len(drawings):
            batch = drawings[len(pictures) : len(pictures) + self.size]
            try:
                pictures.extend(draw(batch, self.size))
            except SynclrError:
                raise
            except Exception as error:  # a pipeline's code is anybody's, and raises what it likes
                if not is_out_of_memory(error):
                    said = " ".join(str(error).split())[:300]  # some tell all the numbers of a tensor
                    kind = type(error).__name__
                    raise EngineError(f"a batch of {len(batch)} pictures failed: {kind}: {said}") from error
                if self.size == 1:
                    raise EngineError(
                        f"one picture does not fit into memory: {error}; draw smaller ones (images.size), in "
                        "images.dtype float16, or with fewer engines at once (execution.workers)"
                    ) from error
                logger.warning(
                    "out of memory: a batch of %d pictures does not fit, going on with %d; images.batch_size %d or less "
                    "would avoid this",
                    self.size,
                    self.size // 2,
                    self.size // 2,
                )
            else:
                continue
            # Outside of `except`, whose traceback holds the tensors of the batch that failed.
            self.size //= 2
            give_back()
        return pictures

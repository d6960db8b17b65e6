"""Render images in batches that fit into memory: a batch that does not fit is halved, and no image is lost."""

import logging
from collections.abc import Callable, Sequence

from data_specs.errors import EngineError, SynclrError
from models.memory import give_back, is_out_of_memory
from models.renderer.protocol import Pixels, RenderRequest

RenderBatch = Callable[[Sequence[RenderRequest], int], list[Pixels]]
"""Renders up to so many images in one call of that size: a short batch is padded, and the result cut."""
logger = logging.getLogger("synclr")


class FittingBatches:
    """Batches of one shape, so that nothing is compiled or planned again; `size` is the largest that has fitted so far.

    The size is kept for as long as the engine lives: what did not fit once is not tried again for every shard.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def run(self, requests: Sequence[RenderRequest], render_batch: RenderBatch) -> list[Pixels]:
        """One image per request, in order. Raises EngineError if one image does not fit, or the backend fails."""
        images: list[Pixels] = []
        while len(images) < len(requests):
            batch = requests[len(images) : len(images) + self.size]
            try:
                images.extend(render_batch(batch, self.size))
            except SynclrError:
                raise
            except Exception as error:  # a pipeline may raise anything
                if not is_out_of_memory(error):
                    text = " ".join(str(error).split())[:300]  # some print a whole tensor
                    kind = type(error).__name__
                    raise EngineError(f"a batch of {len(batch)} images failed: {kind}: {text}") from error
                if self.size == 1:
                    raise EngineError(
                        f"one image does not fit into memory: {error}; render smaller ones (images.size), in "
                        "images.dtype float16, or with fewer engines at once (execution.workers)"
                    ) from error
                logger.warning(
                    "out of memory: a batch of %d images does not fit, going on with %d; images.batch_size %d or less "
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
        return images

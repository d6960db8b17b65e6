"""How many images fit is found by request few, and never more than memory holds."""

import pytest
import torch

from models.renderer.batch_size import FEW, MOST, batch_for_cpu, fitting_batch


@pytest.mark.parametrize("free", [5e9, 8e9, 12e9, 24e9, 80e9])
def test_the_largest_power_of_two_that_fits_is_found(free):
    """Weights of 2 GB and 1.5 GB an image: Stable Diffusion 1.5 at 512 px in half precision, roughly."""

    def held(count):
        if count > (free - 2e9) / 1.5e9:
            raise torch.OutOfMemoryError("CUDA out of memory (injected)")
        return int(2e9 + 1.5e9 * count)

    size = fitting_batch(held, int(free))
    assert size & (size - 1) == 0 and 1 <= size <= MOST
    assert held(size) <= free
    assert size == MOST or size == FEW // 2 or 2e9 + 1.5e9 * 2 * size > 0.9 * free


def test_any_other_failure_is_not_taken_for_full_memory():
    def broken(count):
        if count > 1:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
        return 1

    with pytest.raises(RuntimeError, match="mat1"):
        fitting_batch(broken, 10)


def test_memory_that_does_not_hold_one_image_says_so():
    def full(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        fitting_batch(full, 10)


def test_a_cpu_draws_by_the_size_of_an_image():
    assert [batch_for_cpu(side) for side in (32, 64, 128, 256, 512, 1024)] == [32, 32, 8, 2, 1, 1]

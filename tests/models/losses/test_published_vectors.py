"""The losses against figures published for them (two independent implementations agree), on one rank and on two."""

import math
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch import multiprocessing as mp

from models.encoder import gather as ranks
from models.losses.multi_positive import multi_positive, positive_mask
from models.losses.sinkhorn import sinkhorn


def inputs(rows: int, width: int, off: float) -> Tensor:
    i, d = torch.arange(rows, dtype=torch.float64)[:, None], torch.arange(width, dtype=torch.float64)
    return torch.sin(1 + 0.7 * i + 1.3 * d + off)


def part(rows: Tensor, rank: int, world: int) -> Tensor:
    return rows.tensor_split(world)[rank]


def stablerep(rank: int, world: int) -> Tensor:
    views = part(inputs(12, 5, 0.0), rank, world).requires_grad_()
    classes, images = part(torch.arange(4).repeat(3), rank, world), part(torch.arange(12), rank, world)
    mask = positive_mask(classes, ranks.gather(classes), images, ranks.gather(images))
    return multi_positive(views, ranks.gather_with_gradient(views), mask, 0.1)


def synclr_global(rank: int, world: int) -> Tensor:
    student, keys = part(inputs(12, 5, -0.4), rank, world), part(inputs(12, 5, 0.3), rank, world)
    classes, images = part(torch.arange(4).repeat(3), rank, world), part(torch.arange(12), rank, world)
    mask = positive_mask(classes, ranks.gather(classes), images, ranks.gather(images))
    return multi_positive(student, ranks.gather(keys), mask, 0.08)


def synclr_local(rank: int, world: int) -> Tensor:
    student, keys = part(inputs(24, 5, 0.9), rank, world), part(inputs(12, 5, 0.3), rank, world)
    classes, key_classes = part(torch.arange(4).repeat(6), rank, world), part(torch.arange(4).repeat(3), rank, world)
    return multi_positive(student, ranks.gather(keys), positive_mask(classes, ranks.gather(key_classes)), 0.08)


def assignments(rank: int, world: int) -> Tensor:
    return sinkhorn(inputs(7, 6, 0.0).split([3, 4] if world == 2 else [7])[rank], 0.04, over_ranks=ranks.over_ranks)


def gradient(rank: int, world: int) -> Tensor:
    views = part(inputs(12, 5, 0.0), rank, world).requires_grad_()
    classes, images = part(torch.arange(4).repeat(3), rank, world), part(torch.arange(12), rank, world)
    mask = positive_mask(classes, ranks.gather(classes), images, ranks.gather(images))
    multi_positive(views, ranks.gather_with_gradient(views), mask, 0.1).backward()
    assert views.grad is not None
    return views.grad


EXAMPLES: dict[str, Callable[[int, int], Tensor]] = {
    f.__name__: f for f in (stablerep, synclr_global, synclr_local, assignments, gradient)
}


def on_rank(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save({name: example(rank, 2).detach() for name, example in EXAMPLES.items()}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
    os._exit(0)  # as tasks/encoder/ranks.py does, and why


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensor]]:
    folder: Path = tmp_path_factory.mktemp("ranks")
    mp.spawn(on_rank, args=(str(folder),), nprocs=2)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


LOSSES = {"stablerep": 13.079007, "synclr_global": 16.396478, "synclr_local": 12.867733}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_the_published_ones(name: str) -> None:
    assert float(EXAMPLES[name](0, 1)) == pytest.approx(LOSSES[name], abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_two_ranks_average_to_the_published_ones(name: str, two_ranks: list[dict[str, Tensor]]) -> None:
    assert float(sum(rank[name] for rank in two_ranks) / 2) == pytest.approx(LOSSES[name], abs=1e-6)


def check_assignments(targets_TK: Tensor) -> None:
    assert targets_TK.sum(1).tolist() == pytest.approx([1.0] * 7)
    entropy = -(targets_TK * targets_TK.clamp(min=1e-300).log()).sum(1).mean()
    assert float(entropy) == pytest.approx(0.246156, abs=1e-6)
    assert targets_TK[0].tolist() == pytest.approx([0.01500, 0.66571, 0, 0, 0, 0.31929], abs=1e-5)
    assert targets_TK.sum(0).tolist() == pytest.approx([0.67097, 0.66571, 1.10724, 1.89433, 1.99452, 0.66722], abs=1e-5)


def test_sinkhorn_is_the_published_one() -> None:
    check_assignments(assignments(0, 1))


def test_sinkhorn_does_not_depend_on_how_tokens_are_split_over_ranks(two_ranks: list[dict[str, Tensor]]) -> None:
    check_assignments(torch.cat([rank["assignments"] for rank in two_ranks]))


def test_gradients_through_the_gather_are_twice_those_of_one_process(two_ranks: list[dict[str, Tensor]]) -> None:
    both = torch.cat([rank["gradient"] for rank in two_ranks])
    assert torch.allclose(both, 2 * gradient(0, 1), rtol=1e-9, atol=1e-12)
    assert math.isfinite(float(both.sum()))

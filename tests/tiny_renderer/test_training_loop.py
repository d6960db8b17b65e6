"""Training: stopped and resumed it gives the weights of an undisturbed run; snapshots are whole or absent."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from data_specs.errors import ContractError, StoppedError
from tiny_renderer.snapshots import averaged_weights, read_snapshot, write_snapshot
from tiny_renderer.training_loop import RendererTraining, TrainingSchedule

SCHEDULE = TrainingSchedule(steps=12, batch=4, rate=1e-2, warmup=3, decay=0.9)


def start(folder: Path) -> tuple[nn.Linear, RendererTraining]:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    return model, RendererTraining("toy", {"model": model}, SCHEDULE, folder)


def finish(folder: Path, stop_at: int | None = None) -> dict[str, Tensor]:
    model, training = start(folder)

    def losses_of(step: int) -> Mapping[str, Tensor]:
        if step == stop_at:
            raise StoppedError
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return {"error": (model(inputs) - 1).square().mean()}

    try:
        for report in training.run(losses_of):
            assert report.losses["error"] > 0
    except StoppedError:
        training.snapshot()
    training.load_average()
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_resumed_training_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = finish(tmp_path / "whole")
    finish(tmp_path / "parts", stop_at=5)
    assert start(tmp_path / "parts")[1].step == 5
    parts = finish(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert torch.equal(averaged_weights(tmp_path / "parts" / "toy.safetensors", "model")["weight"], whole["weight"])


def test_a_finished_training_makes_no_step(tmp_path: Path) -> None:
    finish(tmp_path)
    _, training = start(tmp_path)
    assert training.done and list(training.run(lambda _: {})) == []


def test_a_snapshot_that_was_cut_short_is_not_seen(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    assert read_snapshot(path) is None
    write_snapshot(path, {"now/model.weight": torch.ones(2)}, {"step": 1})
    path.with_suffix(".partial").write_bytes(b"half")
    tensors, record = read_snapshot(path) or ({}, {})
    assert record == {"step": 1} and torch.equal(tensors["now/model.weight"], torch.ones(2))
    with pytest.raises(ContractError):
        averaged_weights(tmp_path / "none.safetensors", "model")


def test_a_loss_that_is_no_number_ends_the_training_and_spares_the_snapshot(tmp_path: Path) -> None:
    model, training = start(tmp_path)
    training.snapshot()

    def losses_of(step: int) -> Mapping[str, Tensor]:
        return {"error": model(torch.ones(1, 3)).sum() * (float("nan") if step == 2 else 1.0)}

    with pytest.raises(ContractError, match=r"loss of step 2 is no number.*toy\.safetensors"):
        list(training.run(losses_of))
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert start(tmp_path)[1].step == 0


def test_a_snapshot_of_other_sizes_is_refused(tmp_path: Path) -> None:
    start(tmp_path)[1].snapshot()
    with pytest.raises(ContractError, match="other sizes"):
        RendererTraining("toy", {"model": nn.Linear(3, 4)}, SCHEDULE, tmp_path)


def test_the_rate_rises_stays_and_falls() -> None:
    schedule = TrainingSchedule(steps=100, batch=1, rate=1.0, warmup=10, cool=0.5)
    rates = [schedule.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[10] == rates[49] == 1.0
    assert all(later <= earlier for earlier, later in zip(rates[50:], rates[51:], strict=False)) and rates[-1] < 0.03

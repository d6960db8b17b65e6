"""Stages: a wrong request ends before the first, and what follows from an earlier stage is not mixed with a later state of it."""

from pathlib import Path

import numpy as np
import pytest

from data_specs.errors import ContractError, SpecError
from tiny_renderer import train_autoencoder
from tiny_renderer.image_set import SceneSet
from tiny_renderer.stages import TrainingPlan, TrainingRun, encode_scenes, render_scenes, training_plan
from tiny_renderer.train import parse_lengths


def test_a_plan_has_other_lengths_and_fewer_scenes() -> None:
    plan = training_plan(parse_lengths(["denoiser=7"]), ["noto"], 64)
    assert (plan.denoiser.steps, plan.styles, plan.scenes, plan.held_out, plan.prose_scenes) == (
        7,
        ("noto",),
        64,
        64,
        64,
    )
    assert plan.denoiser.rate == TrainingPlan().denoiser.rate and training_plan() == TrainingPlan()


@pytest.mark.parametrize("given", ["denoiser", "denoiser=", "=5", "denoiser=-1", "denoiser=1.5"])
def test_a_length_of_another_form_is_refused(given: str) -> None:
    with pytest.raises(SpecError, match="STAGE=STEPS"):
        parse_lengths([given])


def test_a_stage_or_style_that_there_is_not_is_refused() -> None:
    for wrong in ({"denoizer": 5}, {"scenes": 5}, {"denoiser": 0}):
        with pytest.raises(SpecError, match="autoencoder, reader, denoiser, decoder"):
            training_plan(wrong)
    with pytest.raises(SpecError, match="twemoji is no training style; those are fluent-3d, "):
        training_plan(styles=["noto", "twemoji"])


def test_an_evaluation_style_makes_no_set_of_images(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="openmoji"):
        SceneSet(tmp_path, "training-*", ["openmoji"])


def test_a_run_of_some_styles_renders_no_other(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, training_plan(styles=["noto"], scenes=12))
    render_scenes(run)
    shown = [scene for split in ("training", "held-out", "spoken") for scene in run.images(split).scenes]
    assert len(shown) == 36 and {scene.style for scene in shown} == {"noto"}


def test_latents_are_not_mixed_with_those_of_an_autoencoder_that_learnt_on(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, training_plan(scenes=2))
    render_scenes(run)
    encode_scenes(run)
    before = (tmp_path / "scaling_factor.txt").read_text()
    encode_scenes(run)
    assert (tmp_path / "scaling_factor.txt").read_text() == before and len(list(run.folder.rglob("latents/all/*"))) == 2
    (tmp_path / "latents" / "autoencoder_steps.txt").write_text("5")
    with pytest.raises(ContractError, match="after 5 steps, which has made 0"):
        encode_scenes(run)


def test_standardised_latents_have_unit_spread_in_each_channel_and_images_stay(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, training_plan({"autoencoder": 1}, scenes=24))
    render_scenes(run)
    device, images = run.torch_device, run.images("training")
    vae, training = train_autoencoder.start(tmp_path, run.plan.autoencoder, device)
    before = train_autoencoder.reconstruction_psnr(vae, images, 24, device)
    train_autoencoder.standardise(vae, training, images, 24, device)
    again, _ = train_autoencoder.start(tmp_path, run.plan.autoencoder, device)
    assert train_autoencoder.reconstruction_psnr(again, images, 24, device) == pytest.approx(before, abs=1e-3)
    train_autoencoder.write_latents(again, images, tmp_path / "latents.npy", device)
    mean, spread = np.load(tmp_path / "latents.npy").astype(np.float32).swapaxes(0, 1)
    total = mean.var(axis=(0, 2, 3)) + np.square(spread).mean(axis=(0, 2, 3))
    assert np.allclose(total, 1, atol=0.02) and np.allclose(mean.mean(axis=(0, 2, 3)), 0, atol=0.02)

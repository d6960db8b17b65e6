"""Stages: a wrong request ends before the first, and what follows from an earlier stage is not mixed with a later state of it."""

from pathlib import Path

import pytest

from data_specs.errors import ContractError, SpecError
from tiny_renderer.image_set import PictureSet
from tiny_renderer.stages import Plan, Workshop, encode_scenes, plan_of, render_scenes
from tiny_renderer.train import _lengths


def test_a_plan_has_other_lengths_and_fewer_scenes() -> None:
    plan = plan_of(_lengths(["denoiser=7"]), ["noto"], 64)
    assert (plan.denoiser.steps, plan.styles, plan.scenes, plan.held_out, plan.spoken) == (7, ("noto",), 64, 64, 64)
    assert plan.denoiser.rate == Plan().denoiser.rate and plan_of() == Plan()


@pytest.mark.parametrize("given", ["denoiser", "denoiser=", "=5", "denoiser=-1", "denoiser=1.5"])
def test_a_length_of_another_form_is_refused(given: str) -> None:
    with pytest.raises(SpecError, match="STAGE=STEPS"):
        _lengths([given])


def test_a_stage_or_style_that_there_is_not_is_refused() -> None:
    for wrong in ({"denoizer": 5}, {"scenes": 5}, {"denoiser": 0}):
        with pytest.raises(SpecError, match="autoencoder, reader, denoiser, decoder"):
            plan_of(wrong)
    with pytest.raises(SpecError, match="twemoji is no training style; those are fluent-3d, "):
        plan_of(styles=["noto", "twemoji"])


def test_an_evaluation_style_makes_no_set_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="openmoji"):
        PictureSet(tmp_path, "training-*", ["openmoji"])


def test_latents_are_not_mixed_with_those_of_an_autoencoder_that_learnt_on(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, plan_of(scenes=2))
    render_scenes(shop)
    encode_scenes(shop)
    before = (tmp_path / "scaling_factor.txt").read_text()
    encode_scenes(shop)
    assert (tmp_path / "scaling_factor.txt").read_text() == before and len(
        list(shop.folder.rglob("latents/all/*"))
    ) == 2
    (tmp_path / "latents" / "autoencoder_steps.txt").write_text("5")
    with pytest.raises(ContractError, match="after 5 steps, which has made 0"):
        encode_scenes(shop)

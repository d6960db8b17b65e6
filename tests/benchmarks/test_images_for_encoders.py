"""The images that benchmarks of the encoder read are image shards as the encoder stage takes them."""

from pathlib import Path

import pytest

from benchmarks import images_for_encoders
from data_specs.specs.encoder import EncoderSpec
from tasks.encoder.loader import StepBatches


def test_made_up_images_are_image_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_for_encoders, "SHARDS", 2)
    stage = images_for_encoders.image_stage(None, str(tmp_path))
    side = images_for_encoders.SIDE
    assert StepBatches(stage, EncoderSpec(), 0)[0].pixels_I3SS.shape == (32 * 4, 3, side, side)
    assert images_for_encoders.image_stage(str(tmp_path), "").count == stage.count == 2

"""ImageBatch that benchmarks of the encoder are fed with are image shards as the encoder stage takes them."""

from pathlib import Path

import pytest

from benchmarks import images_for_encoders
from data_specs.specs.encoder import EncoderSpec
from tasks.encoder.loader import Batches


def test_made_up_images_are_image_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images_for_encoders, "SHARDS", 2)
    monkeypatch.setattr("sys.argv", ["benchmarks"])
    batches = Batches(images_for_encoders.image_shards(str(tmp_path)), EncoderSpec(), 0)
    assert batches[0].pixels_I3SS.shape == (32 * 4, 3, images_for_encoders.SIDE, images_for_encoders.SIDE)

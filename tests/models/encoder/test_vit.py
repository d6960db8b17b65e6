"""The ViT's laws: positions resample, masks hide pixels but not places, drop path is drawn from the generator."""

import pytest
import torch
from pydantic import ValidationError

from data_specs.specs.encoder import EncoderSpec
from models.encoder.draws import Draws
from models.encoder.exported import export, load_exported, random_backbone
from models.encoder.vit import VisionTransformer, VitShape, vit_of

SHAPE = VitShape(width=16, depth=2, heads=2, patch=8, image_size=32)


@pytest.fixture
def vit() -> VisionTransformer:
    return random_backbone(SHAPE, 0)


def test_tokens_have_the_promised_shapes_at_any_size(vit: VisionTransformer) -> None:
    for size, patches in ((32, 16), (16, 4), (64, 64)):
        tokens = vit(torch.randn(3, 3, size, size))
        assert tokens.cls_ND.shape == (3, 16)
        assert tokens.patches_NPD.shape == (3, patches, 16)


def test_positions_are_untouched_at_the_trained_size_and_keep_their_mean_at_others(vit: VisionTransformer) -> None:
    assert vit.positions_for(4, 4) is vit.positions
    with torch.no_grad():
        vit.positions[:, 1:] = torch.linspace(-1, 1, 4).repeat_interleave(4)[None, :, None]
    smaller = vit.positions_for(2, 2)[0, 1:, 0].view(2, 2)
    assert smaller[0].tolist() == pytest.approx((-smaller[1]).tolist(), abs=1e-6)
    assert float(smaller[0, 0]) < -0.3


@pytest.mark.parametrize("stem", ["patch", "conv"])
def test_what_is_masked_cannot_be_seen_though_its_place_can(stem: str) -> None:
    vit = random_backbone(VitShape(16, 2, 2, 8, 32, stem), 0)  # type: ignore[arg-type]
    masks = torch.ones(2, 16, dtype=torch.bool)
    tokens = vit(torch.randn(2, 3, 32, 32), masks)
    assert torch.allclose(tokens.patches_NPD[0], tokens.patches_NPD[1], atol=1e-5)
    assert not torch.allclose(tokens.patches_NPD[0, 0], tokens.patches_NPD[0, 1])


def test_the_last_blocks_end_with_the_output_and_begin_with_that_of_a_shallower_encoder(vit: VisionTransformer) -> None:
    pixels = torch.randn(2, 3, 32, 32)
    first, last = vit.last_blocks(pixels, 2)
    assert torch.equal(last.patches_NPD, vit(pixels).patches_NPD)
    assert len(vit.last_blocks(pixels, 9)) == len(vit.blocks)
    del vit.blocks[1]
    assert torch.equal(first.cls_ND, vit(pixels).cls_ND)


def numbers(seed: int) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), 8)


def test_drop_path_is_drawn_from_the_generator_and_only_in_training() -> None:
    vit, pixels = VisionTransformer(SHAPE, drop_path=0.5), torch.randn(8, 3, 32, 32)

    def dropped(seed: int) -> torch.Tensor:
        return vit(pixels, None, vit.survival(8, numbers(seed), pixels.device)).cls_ND

    first, again, other = (dropped(seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    none, *_, last = vit.survival(8, numbers(1), pixels.device)
    assert none is None and last is not None and set(last.unique().tolist()) == {0.0, 2.0}
    vit.eval()
    assert torch.equal(vit(pixels).cls_ND, dropped(2))


def test_an_exported_encoder_is_read_back_with_equal_outputs(vit: VisionTransformer) -> None:
    pixels = torch.randn(2, 3, 32, 32)
    files = export(vit)
    assert export(vit) == files
    assert torch.equal(load_exported(files)(pixels).cls_ND, vit(pixels).cls_ND)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"image_size": 60}, "image_size"),
        ({"local_size": 40}, "local_size"),
        ({"patch_size": 14, "image_size": 56, "local_size": 28}, "power"),
    ],
)
def test_sizes_that_do_not_fit_are_refused_by_name(settings: dict[str, int], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EncoderSpec(**settings)


@pytest.mark.parametrize(("size", "millions"), [("vit_small", 21.7), ("vit_base", 85.8), ("vit_large", 303.3)])
def test_published_sizes_have_the_published_numbers_of_parameters(size: str, millions: float) -> None:
    spec = EncoderSpec(architecture=size, patch_size=16, image_size=224, local_size=96, stem="patch")  # type: ignore[arg-type]
    with torch.device("meta"):
        counted = sum(parameter.numel() for parameter in vit_of(spec).parameters())
    assert counted / 1e6 == pytest.approx(millions, abs=0.15)

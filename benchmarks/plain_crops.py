"""Cut SynCLR's crops sample by sample, as one would first write it with WebDataset and Pillow."""

import io
import math
import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import webdataset as wds
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from torch import Tensor

from data_specs.specs.encoder import EncoderSpec
from models.encoder.augment import MEAN, STD


def plain_batches(tars: Sequence[str], spec: EncoderSpec) -> Iterator[tuple[Tensor, Tensor]]:
    """Global and local crops [crop-major], of `captions_per_step` captions a time."""
    samples = wds.WebDataset(list(tars), shardshuffle=False).shuffle(1000, initial=1000)
    held: list[list[Image.Image]] = []
    for sample in samples:
        images = [sample[name] for name in sorted(sample) if name.endswith(("jpg", "png", "webp"))]
        held.append([Image.open(io.BytesIO(data)).convert("RGB") for data in images[: spec.images_per_caption]])
        if len(held) == spec.captions_per_step:
            cut = [[crops(image, spec) for image in group] for group in held]
            yield (
                torch.stack([one[0] for group in cut for one in group]),
                torch.stack([local for group in cut for one in group for local in one[1]]),
            )
            held = []


def crops(image: Image.Image, spec: EncoderSpec) -> tuple[Tensor, list[Tensor]]:
    if random.random() < spec.downsample_probability:
        side = image.width
        image = image.resize((side // random.choice((2, 4)),) * 2, Image.Resampling.BILINEAR)
        image = image.resize((side, side), Image.Resampling.BILINEAR)
    always = random.random() < 0.5
    wide = crop(image, spec.image_size, spec.global_scale, 1.0 if always else 0.1, 0.0 if always else 0.2)
    return wide, [crop(image, spec.local_size, spec.local_scale, 0.5, 0.0) for _ in range(spec.local_crops)]


def crop(image: Image.Image, size: int, scale: tuple[float, float], blur: float, solarize: float) -> Tensor:
    area, root = random.uniform(*scale), math.exp(0.5 * random.uniform(-0.28768, 0.28768))
    width, height = min(1.0, math.sqrt(area) * root), min(1.0, math.sqrt(area) / root)
    left, top = random.uniform(0, 1 - width), random.uniform(0, 1 - height)
    side = image.width
    box = (left * side, top * side, (left + width) * side, (top + height) * side)
    cut = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    if random.random() < 0.5:
        cut = ImageOps.mirror(cut)
    if random.random() < 0.8:
        for enhance, strength in (
            (ImageEnhance.Brightness, 0.4),
            (ImageEnhance.Contrast, 0.4),
            (ImageEnhance.Color, 0.2),
        ):
            cut = enhance(cut).enhance(random.uniform(1 - strength, 1 + strength))
        hue, saturation, value = cut.convert("HSV").split()
        turn = round(255 * random.uniform(-0.1, 0.1))
        hue = hue.point([(level + turn) % 256 for level in range(256)])
        cut = Image.merge("HSV", (hue, saturation, value)).convert("RGB")
    if random.random() < 0.2:
        cut = cut.convert("L").convert("RGB")
    if random.random() < blur:
        cut = cut.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0) * size / 224))
    if random.random() < solarize:
        cut = ImageOps.solarize(cut, 128)
    pixels = torch.from_numpy(np.asarray(cut).copy()).permute(2, 0, 1).float() / 255.0
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]

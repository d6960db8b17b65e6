"""One step's input: raw images with their identities, and the crops and masks that are made of them.

Legend: I images, N global crops (`views` per image), M local crops, C captions, P patches of a global crop.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from data_specs.specs.encoder import EncoderSpec
from models.encoder.augment import crops, downsample, global_recipe, local_recipe, to_unit
from models.encoder.draws import Draws
from models.encoder.masking import random_masks


@dataclass(frozen=True, slots=True)
class ImageBatch:
    """Raw images of one step with what they are of, and the step's captions: equal numbers are the same thing.

    `concepts_I` count from 0, as a classifier's outputs do.
    """

    pixels_I3SS: Tensor
    captions_I: Tensor
    images_I: Tensor
    concepts_I: Tensor
    texts: tuple[str, ...]
    captions_C: Tensor

    def to(self, device: str) -> "ImageBatch":
        moved = (self.pixels_I3SS, self.captions_I, self.images_I, self.concepts_I)
        pixels, captions, images, concepts = (each.to(device) for each in moved)
        return ImageBatch(pixels, captions, images, concepts, self.texts, self.captions_C.to(device))


@dataclass(frozen=True, slots=True)
class Crops:
    """`classes` are what the recipe calls positives; equal `views_N` are the same pixels."""

    global_N3SS: Tensor
    classes_N: Tensor
    views_N: Tensor
    masks_NP: Tensor
    local_M3SS: Tensor
    local_classes_M: Tensor
    captions_N: Tensor
    concepts_N: Tensor
    texts: tuple[str, ...]
    captions_C: Tensor


def make_crops(images: ImageBatch, spec: EncoderSpec, draws: Draws) -> Crops:
    """Cut `views` global and `local_crops` local crops of each image; random numbers come from `draws` alone.

    Student and teacher get the same global pixels (SynCLR section 3.3), so there is one set of them.
    """
    whole_I3SS = downsample(to_unit(images.pixels_I3SS), draws, spec.downsample_probability)
    classes_I = {"caption": images.captions_I, "concept": images.concepts_I, "image": images.images_I}[spec.positives]
    wide = global_recipe(spec.image_size, spec.global_scale)
    narrow = local_recipe(spec.local_size, spec.local_scale, spec.local_blur_side)
    local_crops = [crops(whole_I3SS, narrow, draws) for _ in range(spec.local_crops)]
    global_N3SS = torch.cat([crops(whole_I3SS, wide, draws) for _ in range(spec.views)])
    side = spec.image_size // spec.patch_size
    share = spec.mask_probability if spec.ibot_weight > 0 else 0.0
    return Crops(
        global_N3SS=global_N3SS,
        classes_N=classes_I.repeat(spec.views),
        # Image numbers are 63-bit digests: their neighbours are free.
        views_N=torch.cat([images.images_I + view for view in range(spec.views)]),
        masks_NP=random_masks(len(global_N3SS), side * side, share, spec.mask_ratio, draws).to(whole_I3SS.device),
        local_M3SS=torch.cat(local_crops)
        if local_crops
        else whole_I3SS.new_zeros(0, 3, spec.local_size, spec.local_size),
        local_classes_M=classes_I.repeat(spec.local_crops),
        captions_N=images.captions_I.repeat(spec.views),
        concepts_N=images.concepts_I.repeat(spec.views),
        texts=images.texts,
        captions_C=images.captions_C,
    )

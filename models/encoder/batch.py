"""One step's input: pictures with their identities enter, crops with the same identities and masks leave.

Legend: N global crops (one a picture), M local crops, P patches of a global crop.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from data_specs.run import EncoderSpec
from models.encoder.augment import crops, downsample, global_recipe, local_recipe, to_unit
from models.encoder.masking import random_masks


@dataclass(frozen=True, slots=True)
class Pictures:
    """Raw pictures of one step. Equal classes are positives; equal image ids are the same picture."""

    pixels_N3SS: Tensor
    classes_N: Tensor
    images_N: Tensor


@dataclass(frozen=True, slots=True)
class Crops:
    global_N3SS: Tensor
    classes_N: Tensor
    images_N: Tensor
    masks_NP: Tensor
    local_M3SS: Tensor
    local_classes_M: Tensor


def cut(pictures: Pictures, spec: EncoderSpec, generator: torch.Generator) -> Crops:
    """One global and `local_crops` local crops of each picture; what is drawn depends on the generator alone.

    Student and teacher get the same global pixels (SynCLR section 3.3), so they are cut once.
    """
    whole_N3SS = downsample(to_unit(pictures.pixels_N3SS), generator, spec.downsample_probability)
    side = spec.image_size // spec.patch_size
    share = spec.mask_probability if spec.ibot_weight > 0 else 0.0
    local = local_recipe(spec.local_size, spec.local_scale)
    local_crops = [crops(whole_N3SS, local, generator) for _ in range(spec.local_crops)]
    return Crops(
        global_N3SS=crops(whole_N3SS, global_recipe(spec.image_size, spec.global_scale), generator),
        classes_N=pictures.classes_N,
        images_N=pictures.images_N,
        masks_NP=random_masks(len(whole_N3SS), side * side, share, spec.mask_ratio, generator),
        local_M3SS=torch.cat(local_crops)
        if local_crops
        else whole_N3SS.new_zeros(0, 3, spec.local_size, spec.local_size),
        local_classes_M=pictures.classes_N.repeat(spec.local_crops),
    )

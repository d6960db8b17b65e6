"""Compute the loss terms of a step from its crops: SynCLR's (equation 4), StableRep's, SimCLR's, a classifier's and CLIP's.

Which terms there are follows from the recipe's weights alone; an objective's name is a preset of them.

Legend: N global crops, M local crops, C captions, K keys of all ranks, T masked tokens, D width.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_specs.specs.encoder import EncoderSpec
from models.encoder.batch import Crops
from models.encoder.draws import Draws
from models.encoder.ema import ema_update, teacher_of
from models.encoder.gather import gather, gather_with_gradient, over_ranks
from models.encoder.heads import ContrastiveHead, PatchHead, initialise
from models.encoder.text import reader_of, text_tower_of
from models.encoder.vit import Tokens, VisionTransformer, vit_of
from models.losses.ibot import ibot
from models.losses.image_text import image_text
from models.losses.multi_positive import multi_positive, positive_mask
from models.losses.precision import at_least_float32
from models.losses.sinkhorn import sinkhorn

Terms = Mapping[str, Tensor]
FIRST_LOGIT_SCALE = math.log(1 / 0.07)
LARGEST_LOGIT_SCALE = math.log(100.0)
"""CLIP section 2.5: the scale is trained, and never more than 100."""


@dataclass(frozen=True, slots=True)
class TeacherOutput:
    """Keys of this rank's global crops and prototype logits at their masked positions. No gradient."""

    keys_ND: Tensor | None
    logits_TK: Tensor | None


class Tower(nn.Module):
    """The networks that student and teacher both have: backbone, contrastive projector, patch head."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.backbone: VisionTransformer = vit_of(spec)
        width = self.backbone.shape.width
        self.projector = (
            # StableRep's projector, whose output is compared as it is, ends without a norm.
            ContrastiveHead(width, spec.head_hidden, spec.head_out, layers=3, norm=spec.head_norm, norm_last=spec.ema)
            if spec.contrast_weight > 0
            else None
        )
        self.patch_head = (
            PatchHead(width, spec.patch_head_hidden, spec.patch_head_bottleneck, spec.prototypes)
            if spec.ibot_weight > 0
            else None
        )


class TextPair(nn.Module):
    """Maps images and captions into one space: a text tower, a linear map for images, a trained scale of the logits."""

    def __init__(self, spec: EncoderSpec, width: int) -> None:
        super().__init__()
        self.reader = reader_of(spec)
        self.tower = text_tower_of(spec, self.reader)
        self.projection = nn.Linear(width, spec.text_out, bias=False)
        initialise(self.projection)
        self.logit_scale = nn.Parameter(torch.tensor(FIRST_LOGIT_SCALE))

    def forward(self, cls_ND: Tensor, texts: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        tokens_CL = self.reader.tokens(texts).to(cls_ND.device)
        return self.projection(cls_ND), self.tower(tokens_CL, self.reader.end)

    @torch.no_grad()
    def clamp_scale(self) -> None:
        self.logit_scale.clamp_(0.0, LARGEST_LOGIT_SCALE)


class Objective(nn.Module):
    """All networks of one recipe (student, teacher, predictor, classifier, text tower) and the loss terms over them."""

    def __init__(self, spec: EncoderSpec, concepts: int) -> None:
        """`concepts` is the number of the classifier's classes. Raises SpecError for sizes that do not fit together."""
        super().__init__()
        self.spec = spec
        self.student = Tower(spec)
        width = self.student.backbone.shape.width
        self.predictor = (
            ContrastiveHead(spec.head_out, spec.head_hidden, spec.head_out, layers=2, norm=spec.head_norm)
            if spec.ema and spec.contrast_weight > 0
            else None
        )
        self.classifier = nn.Linear(width, concepts) if spec.concept_weight > 0 else None
        if self.classifier:
            initialise(self.classifier)
        self.text = TextPair(spec, width) if spec.text_weight > 0 else None
        self.teacher = teacher_of(self.student) if spec.ema else None

    @property
    def exported(self) -> VisionTransformer:
        """The backbone that is exported, the teacher's or the student's."""
        return (self.teacher if self.teacher and self.spec.export == "teacher" else self.student).backbone

    def forward(self, crops: Crops, teacher_temperature: float, draws: Draws | None = None) -> Terms:
        """Weighted terms that sum to the loss. Every rank must call it in step: keys and labels are gathered."""
        spec, terms = self.spec, dict[str, Tensor]()
        with torch.autocast(crops.global_N3SS.device.type, torch.bfloat16, enabled=spec.precision == "bf16"):
            teacher = self.teacher_forward(crops)
            tokens = self._student_tokens(crops.global_N3SS, crops.masks_NP, draws)
            # Global and local crops pass the heads apart: with batch norm one batch would mix their statistics.
            global_ND = self._student_features(tokens)
            local_MD = None
            if len(crops.local_M3SS):
                local_MD = self._student_features(self._student_tokens(crops.local_M3SS, None, draws))
            head = self.student.patch_head
            logits_TK = head(tokens.patches_NPD[crops.masks_NP]) if head else None
            pair = self.text(tokens.cls_ND, crops.texts) if self.text else None
            classes_NC = self.classifier(tokens.cls_ND) if self.classifier else None

        if global_ND is not None:
            terms |= self._contrast(crops, global_ND, local_MD, teacher.keys_ND)
        if logits_TK is not None and teacher.logits_TK is not None:
            targets_TK = sinkhorn(teacher.logits_TK, teacher_temperature, over_ranks=over_ranks)
            image_T = crops.masks_NP.nonzero()[:, 0]
            terms["ibot"] = spec.ibot_weight * ibot(logits_TK, targets_TK, image_T, over_ranks=over_ranks)
        if pair is not None:
            terms["image_text"] = spec.text_weight * self._image_text(crops, *pair)
        if classes_NC is not None:
            loss = F.cross_entropy(at_least_float32(classes_NC), crops.concepts_N)
            terms["concept"] = spec.concept_weight * loss
        return terms

    def _student_tokens(self, crops_N3SS: Tensor, masks_NP: Tensor | None, draws: Draws | None) -> Tokens:
        """The student's tokens, with stochastic depth."""
        backbone = self.student.backbone
        tokens: Tokens = backbone(crops_N3SS, masks_NP, backbone.survival(len(crops_N3SS), draws, crops_N3SS.device))
        return tokens

    def _student_features(self, tokens: Tokens) -> Tensor | None:
        if self.student.projector is None:
            return None
        projected_ND = self.student.projector(tokens.cls_ND)
        return cast(Tensor, self.predictor(projected_ND) if self.predictor else projected_ND)

    def _contrast(
        self, crops: Crops, global_ND: Tensor, local_MD: Tensor | None, teacher_ND: Tensor | None
    ) -> dict[str, Tensor]:
        """Keys are the teacher's; without one the student's own, through which the gradient flows (StableRep, SimCLR)."""
        keys_KD = gather_with_gradient(global_ND) if teacher_ND is None else gather(teacher_ND)
        key_classes_K, key_views_K = gather(crops.classes_N), gather(crops.views_N)
        other_views = positive_mask(crops.classes_N, key_classes_K, crops.views_N, key_views_K)
        weight, temperature = self.spec.contrast_weight, self.spec.temperature
        terms = {"contrast_global": weight * multi_positive(global_ND, keys_KD, other_views, temperature, over_ranks)}
        if local_MD is not None:
            all_keys = positive_mask(crops.local_classes_M, key_classes_K)
            terms["contrast_local"] = weight * multi_positive(local_MD, keys_KD, all_keys, temperature, over_ranks)
        return terms

    def _image_text(self, crops: Crops, images_ND: Tensor, texts_CD: Tensor) -> Tensor:
        assert self.text is not None
        masks = (
            positive_mask(crops.captions_N, gather(crops.captions_C)),
            positive_mask(crops.captions_C, gather(crops.captions_N)),
        )
        all_images_KD, all_texts_KD = gather_with_gradient(images_ND), gather_with_gradient(texts_CD)
        scale = self.text.logit_scale.exp()
        return image_text(images_ND, texts_CD, all_images_KD, all_texts_KD, masks, scale, over_ranks)

    @torch.no_grad()
    def teacher_forward(self, crops: Crops) -> TeacherOutput:
        """The teacher's outputs: of whole global crops, and of their patch tokens where the student's are masked."""
        if self.teacher is None:
            return TeacherOutput(None, None)
        # No drop path for the teacher; its batch norms use the batch at hand, as the student's do (MoCo v3).
        self.teacher.eval()
        projector, head = self.teacher.projector, self.teacher.patch_head
        if projector:
            projector.train()
        tokens = self.teacher.backbone(crops.global_N3SS)
        return TeacherOutput(
            keys_ND=projector(tokens.cls_ND) if projector else None,
            logits_TK=head(tokens.patches_NPD[crops.masks_NP]) if head else None,
        )

    def after_step(self, momentum: float) -> None:
        """Update what the optimiser does not: the teacher, and the scale of image-text logits, which stays within bounds."""
        if self.teacher:
            ema_update(self.teacher, self.student, momentum)
        if self.text:
            self.text.clamp_scale()

"""Where losses meet: crops enter, named loss terms leave (SynCLR equation 4; every weight but iBOT's is 1).

Legend: N global crops, M local crops, K keys of all ranks, T masked tokens, D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from data_specs.run import EncoderSpec
from models.encoder.batch import Crops
from models.encoder.gather import gather, over_ranks
from models.encoder.heads import ContrastiveHead, PatchHead
from models.encoder.momentum import follow, teacher_of
from models.encoder.vit import VisionTransformer, vit_of
from models.losses.ibot import ibot
from models.losses.multi_positive import match, multi_positive
from models.losses.sinkhorn import sinkhorn

Terms = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class TeacherOutput:
    """Keys of this rank's global crops and prototype logits at their masked positions. No gradient."""

    keys_ND: Tensor
    logits_TK: Tensor | None


class Tower(nn.Module):
    """What student and teacher have in common: backbone, contrastive projector, patch head."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.backbone: VisionTransformer = vit_of(spec)
        width = self.backbone.shape.width
        self.projector = ContrastiveHead(width, spec.head_hidden, spec.head_out, layers=3, norm=spec.head_norm)
        self.patch_head = (
            PatchHead(width, spec.patch_head_hidden, spec.patch_head_bottleneck, spec.prototypes)
            if spec.ibot_weight > 0
            else None
        )


class Synclr(nn.Module):
    """Multi-positive contrast of student predictions with an EMA teacher's keys, local crops, and iBOT."""

    def __init__(self, spec: EncoderSpec) -> None:
        super().__init__()
        self.spec = spec
        self.student = Tower(spec)
        self.predictor = ContrastiveHead(spec.head_out, spec.head_hidden, spec.head_out, layers=2, norm=spec.head_norm)
        self.teacher = teacher_of(self.student)

    def forward(self, crops: Crops, teacher_temperature: float, generator: torch.Generator | None = None) -> Terms:
        """Weighted terms that sum to the loss. Every rank must call it in step: keys and labels are gathered."""
        spec, student = self.spec, self.student
        with torch.autocast(crops.global_N3SS.device.type, torch.bfloat16, enabled=spec.precision == "bf16"):
            taught = self.teach(crops)
            seen = student.backbone(crops.global_N3SS, crops.masks_NP, generator)
            # Global and local crops pass the heads apart: with batch norm one batch would mix their statistics.
            global_ND = self.predictor(student.projector(seen.cls_ND))
            local_MD = None
            if len(crops.local_M3SS):
                local = student.backbone(crops.local_M3SS, None, generator)
                local_MD = self.predictor(student.projector(local.cls_ND))
            logits_TK = student.patch_head(seen.patches_NPD[crops.masks_NP]) if student.patch_head else None

        keys_KD, key_classes_K, key_images_K = map(gather, (taught.keys_ND, crops.classes_N, crops.images_N))
        others = match(crops.classes_N, key_classes_K, crops.images_N, key_images_K)
        terms = {"contrast_global": multi_positive(global_ND, keys_KD, others, spec.temperature)}
        if local_MD is not None:
            anyone = match(crops.local_classes_M, key_classes_K)
            terms["contrast_local"] = multi_positive(local_MD, keys_KD, anyone, spec.temperature)
        if logits_TK is not None and taught.logits_TK is not None:
            targets_TK = sinkhorn(taught.logits_TK, teacher_temperature, over_ranks=over_ranks)
            image_T = crops.masks_NP.nonzero()[:, 0]
            terms["ibot"] = spec.ibot_weight * ibot(logits_TK, targets_TK, image_T)
        return terms

    @torch.no_grad()
    def teach(self, crops: Crops) -> TeacherOutput:
        """The teacher sees whole global crops; its patch tokens are used where the student's are masked."""
        # No drop path for the teacher; its batch norms use the batch at hand, as the student's do (MoCo v3).
        self.teacher.eval()
        self.teacher.projector.train()
        tokens = self.teacher.backbone(crops.global_N3SS)
        head = self.teacher.patch_head
        return TeacherOutput(
            keys_ND=self.teacher.projector(tokens.cls_ND),
            logits_TK=head(tokens.patches_NPD[crops.masks_NP]) if head else None,
        )

    def follow(self, momentum: float) -> None:
        """Move the teacher towards the student; call it after the optimiser's step."""
        follow(self.teacher, self.student, momentum)


def build_objective(spec: EncoderSpec) -> Synclr:
    """The objective a recipe names."""
    match_by_name = {"synclr": Synclr}
    return match_by_name[spec.objective](spec)

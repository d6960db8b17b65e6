"""A trained backbone enters; an ONNX model leaves: normalised pixels in, class token and patch tokens out.

Any number of pictures, of the size that the backbone was trained at.
"""

import torch
from torch import Tensor, nn

from models.encoder.vit import VisionTransformer


class _Plain(nn.Module):
    """A record is no output for ONNX; a tuple is."""

    def __init__(self, backbone: VisionTransformer) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.backbone(pixels)
        return tokens.cls_ND, tokens.patches_NPD


def onnx_bytes(backbone: VisionTransformer) -> bytes:
    """Inputs `pixels` [N, 3, S, S]; outputs `cls` [N, D] and `patches` [N, P, D]."""
    side = backbone.shape.image_size
    program = torch.onnx.export(
        _Plain(backbone).eval(),
        (torch.zeros(2, 3, side, side),),
        dynamo=True,
        input_names=["pixels"],
        output_names=["cls", "patches"],
        dynamic_shapes={"pixels": {0: torch.export.Dim("pictures")}},
        verbose=False,
    )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())

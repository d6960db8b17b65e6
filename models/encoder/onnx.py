"""Convert a trained backbone to an ONNX model from normalised pixels to class token and patch tokens.

Any number of images, of the size that the backbone was trained at.
"""

import torch
from torch import Tensor, nn

from models.encoder.vit import VisionTransformer


class _TupleOutput(nn.Module):
    """ONNX takes a tuple as output, and no dataclass."""

    def __init__(self, backbone: VisionTransformer) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.backbone(pixels)
        return tokens.cls_ND, tokens.patches_NPD


def onnx_bytes(backbone: VisionTransformer) -> bytes:
    """Export to ONNX: input `pixels` [N, 3, S, S]; outputs `cls` [N, D] and `patches` [N, P, D]."""
    side = backbone.shape.image_size
    program = torch.onnx.export(
        _TupleOutput(backbone).eval(),
        (torch.zeros(2, 3, side, side),),
        dynamo=True,
        input_names=["pixels"],
        output_names=["cls", "patches"],
        dynamic_shapes={"pixels": {0: torch.export.Dim("images")}},
        verbose=False,
    )
    assert program is not None
    return bytes(program.model_proto.SerializeToString())

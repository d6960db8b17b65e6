"""Masked-patch prediction (iBOT): student logits and teacher assignments at masked positions enter, a scalar leaves.

Legend: T masked tokens, K prototypes. iBOT (arXiv 2111.07832) with the reduction of SynCLR's reference.
"""

from torch import Tensor
from torch.nn import functional as F

from models.losses.precision import at_least_float32


def ibot(student_TK: Tensor, targets_TK: Tensor, image_T: Tensor, temperature: float = 0.1) -> Tensor:
    """Cross-entropy, averaged over each image's masked tokens and then over the images that have any.

    `image_T` holds the batch index of the image of each token. Unlike DINOv2's, the mean is over masked images only.
    """
    if not len(student_TK):
        return student_TK.sum() * 0.0
    log_p_TK = F.log_softmax(at_least_float32(student_TK) / temperature, dim=-1)
    loss_T = -(targets_TK * log_p_TK).sum(-1)
    tokens_of_image = image_T.bincount()
    return (loss_T / tokens_of_image[image_T]).sum() / (tokens_of_image > 0).sum()

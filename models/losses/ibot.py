"""The masked-patch loss of iBOT: student logits against teacher assignments at masked positions.

Legend: T masked tokens, K prototypes. iBOT (arXiv 2111.07832) with the reduction of SynCLR's reference.
"""

from torch import Tensor
from torch.nn import functional as F

from models.losses.precision import at_least_float32
from models.losses.ranks import OverRanks, alone


def ibot(
    student_TK: Tensor, targets_TK: Tensor, image_T: Tensor, temperature: float = 0.1, over_ranks: OverRanks = alone
) -> Tensor:
    """Cross-entropy, averaged over each image's masked tokens and then over the images that have any.

    `image_T` holds the batch index of the image of each token. Unlike DINOv2's, the mean is over masked images only, those
    of all ranks; every rank must call it, one without tokens too.
    """
    log_p_TK = F.log_softmax(at_least_float32(student_TK) / temperature, dim=-1)
    loss_T = -(targets_TK * log_p_TK).sum(-1)
    tokens_of_image = image_T.bincount()
    images = over_ranks((tokens_of_image > 0).sum().to(loss_T.dtype), "mean").clamp(min=1e-9)
    return (loss_T / tokens_of_image[image_T]).sum() / images

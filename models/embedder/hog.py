"""Histograms of oriented gradients (HOG) with a coarse colour grid: the baseline without any training.

scikit-image's HOG in its usual setting (Dalal and Triggs 2005: 9 orientations, 8x8 cells, 2x2 blocks, L2-Hys) on the
mean of the colours, beside the mean colour of an 8x8 grid.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.feature import hog

GRID = 8
LARGEST = 64
"""Larger images are made this small: at 224 pixels there would be 26,000 features."""


class HogEmbedder:
    """Images of any side up to 64 that 8 divides are taken as they are, others are resampled to 64."""

    def embed(self, pixels_NSS3: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([self._one(pixels_SS3) for pixels_SS3 in pixels_NSS3])

    def _one(self, pixels_SS3: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(pixels_SS3) > LARGEST or len(pixels_SS3) % GRID:
            small = Image.fromarray(pixels_SS3).resize((LARGEST, LARGEST), Image.Resampling.BICUBIC)
            pixels_SS3 = np.asarray(small)
        unit_SS3 = pixels_SS3.astype(np.float32) / 255.0
        side = len(unit_SS3) // GRID
        cells = unit_SS3[: GRID * side, : GRID * side].reshape(GRID, side, GRID, side, 3)
        gradients = hog(unit_SS3.mean(2), orientations=9, pixels_per_cell=(8, 8), cells_per_block=(2, 2))
        feature_D: NDArray[np.float32] = np.concatenate([gradients, cells.mean((1, 3)).ravel()]).astype(np.float32)
        return feature_D

"""A look at an encoder while it learns: some of its own pictures enter, the share whose concept neighbours name leaves.

It costs a second and judges nothing: the pictures are those it learns from. A curve that stays flat, or falls while the loss
does too, is what it is for.
"""

import numpy as np

from models.embedder.vit import VitEmbedder
from models.encoder.vit import VisionTransformer
from models.probes.knn import knn
from tasks.encoder.image_store import PictureStore

CAPTIONS = 512
NEIGHBOURS = 5
TEMPERATURE = 0.07


class Probe:
    """One picture each of the room's first captions: every second one is asked for, the others are its neighbours."""

    def __init__(self, store: PictureStore) -> None:
        pixels_NSS3, concepts_N = store.first(CAPTIONS)
        self._bank, self._asked = slice(0, None, 2), slice(1, None, 2)
        self._pixels_NSS3, self._concepts_N = pixels_NSS3, concepts_N

    def accuracy(self, backbone: VisionTransformer) -> float:
        """Among those asked for whose concept is in the bank; chance is about one in as many concepts. 0 if there are none."""
        features_ND = VitEmbedder(backbone, "cls").embed(self._pixels_NSS3)
        bank_N, asked_M = self._concepts_N[self._bank], self._concepts_N[self._asked]
        classes = int(self._concepts_N.max()) + 1
        found_M = knn(features_ND[self._bank], bank_N, features_ND[self._asked], classes, NEIGHBOURS, TEMPERATURE)
        known_M = np.isin(asked_M, bank_N)
        return float((found_M[known_M] == asked_M[known_M]).mean()) if known_M.any() else 0.0

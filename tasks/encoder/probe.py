"""Probe an encoder during training: how often nearest neighbours among its own images are of the same concept.

It costs a second and is no evaluation: the images are those that are trained on. It is there to show a curve that stays flat,
or one that falls while the loss falls too.
"""

import numpy as np

from models.embedder.vit import VitEmbedder
from models.encoder.vit import VisionTransformer
from models.probes.knn import knn
from tasks.encoder.image_store import ImageStore

CAPTIONS = 512
NEIGHBOURS = 5
TEMPERATURE = 0.07


class Probe:
    """One image of each of the stage's first captions: every second one is a query, the others are the bank."""

    def __init__(self, store: ImageStore) -> None:
        pixels_NSS3, concepts_N = store.first_images(CAPTIONS)
        self._bank, self._queries = slice(0, None, 2), slice(1, None, 2)
        self._pixels_NSS3, self._concepts_N = pixels_NSS3, concepts_N

    def accuracy(self, backbone: VisionTransformer) -> float:
        """The share of queries of a concept in the bank that get its name; chance is about 1 / concepts. 0 if there are none."""
        features_ND = VitEmbedder(backbone, "cls").embed(self._pixels_NSS3)
        bank_N, queries_M = self._concepts_N[self._bank], self._concepts_N[self._queries]
        classes = int(self._concepts_N.max()) + 1
        found_M = knn(features_ND[self._bank], bank_N, features_ND[self._queries], classes, NEIGHBOURS, TEMPERATURE)
        known_M = np.isin(queries_M, bank_N)
        return float((found_M[known_M] == queries_M[known_M]).mean()) if known_M.any() else 0.0

"""The images room in memory: sealed shards enter, decoded uint8 pictures of chosen captions leave."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from data_specs import image_group
from data_specs.errors import ContractError
from data_specs.ids import seed_of
from data_specs.image_group import ImageGroup
from data_specs.shard import ShardAddress
from models.encoder.batch import Pictures
from tasks.encoder.batches import Choice
from tasks.shards import read_shard

DECODED_BYTES = 4 << 30
"""Of decoded pictures that are kept; the rest is decoded again from its stored bytes when it is drawn."""


class PictureStore:
    """Stored bytes of every picture, in the order of shards and samples; decoded on first use and kept within a bound."""

    def __init__(self, groups: Iterable[ImageGroup], decoded_bytes: int = DECODED_BYTES) -> None:
        """Raises ContractError for an empty room or captions with unequal numbers of pictures."""
        found = [(group.caption, group.pixels) for group in groups]
        if not found:
            raise ContractError("the images room holds no pictures; look at its rejects")
        if len({len(pixels) for _, pixels in found}) > 1:
            raise ContractError("captions have unequal numbers of pictures; `synclr verify` names the shard")
        self.keys = [caption.id for caption, _ in found]
        self.concepts = sorted({caption.concept_id for caption, _ in found})
        numbers = {concept: number for number, concept in enumerate(self.concepts)}
        self._texts = [caption.text for caption, _ in found]
        self._classes = [_class(caption.text) for caption, _ in found]
        self._concepts = [numbers[caption.concept_id] for caption, _ in found]
        self._pixels = [pixels for _, pixels in found]
        self.copies = len(self._pixels[0])
        self.side = min(Image.open(io.BytesIO(self._pixels[0][0])).size)
        self._decoded: dict[tuple[int, int], np.ndarray] = {}
        self._room = decoded_bytes // (3 * self.side * self.side)

    def __len__(self) -> int:
        """How many captions."""
        return len(self.keys)

    def pictures(self, choice: Choice) -> Pictures:
        """The chosen pictures, caption by caption, with identities that follow from ids."""
        places = [(int(c), int(k)) for c, row in zip(choice.captions, choice.copies, strict=True) for k in row]
        pixels_ISS3 = np.stack([self._picture(place) for place in places])
        return Pictures(
            pixels_I3SS=torch.from_numpy(pixels_ISS3).permute(0, 3, 1, 2),
            captions_I=torch.tensor([self._classes[caption] for caption, _ in places]),
            images_I=torch.tensor([seed_of(self.keys[caption], copy) for caption, copy in places]),
            concepts_I=torch.tensor([self._concepts[caption] for caption, _ in places]),
            texts=tuple(self._texts[caption] for caption in choice.captions),
            captions_C=torch.tensor([self._classes[caption] for caption in choice.captions]),
        )

    def _picture(self, place: tuple[int, int]) -> np.ndarray:
        if (kept := self._decoded.get(place)) is not None:
            return kept
        caption, copy = place
        picture = decode(self._pixels[caption][copy], self.side, f"{self.keys[caption]} copy {copy}")
        if len(self._decoded) < self._room:
            self._decoded[place] = picture
        return picture


def read_pictures(sources: Sequence[ShardAddress]) -> PictureStore:
    return PictureStore(group for source in sources for group in read_shard(source, image_group.CONTRACT))


def decode(data: bytes, side: int, name: str) -> np.ndarray:
    """[side, side, 3] uint8; another size is resampled. Raises ContractError for bytes that are no picture."""
    try:
        picture = Image.open(io.BytesIO(data)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ContractError(f"picture {name} cannot be decoded: {error}; `synclr verify` names its shard") from error
    if picture.size != (side, side):
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture)


def _class(text: str) -> int:
    # A class is what the caption says, not where it stands: two captions of one text are positives of each other.
    return seed_of("class", " ".join(text.casefold().split()))

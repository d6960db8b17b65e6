"""Read and decode the images of chosen captions from sealed shards, holding a bounded number of shards open."""

import io
import mmap
import resource
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from data_specs import image_group
from data_specs.errors import ContractError, ShardError
from data_specs.ids import seed_of
from data_specs.shard import ShardAddress
from data_specs.stage import Stage
from models.encoder.batch import ImageBatch
from tasks.encoder.batches import StepCaptions
from tasks.shards import open_shard, read_rows, read_shard, require_manifests

DECODED_BYTES = 4 << 30
"""Of decoded images that a training keeps; other images are decoded again each time they are chosen."""
OTHER_FILES = 512
"""Files that a process may need beside its shards."""


@dataclass(slots=True)
class _Shard:
    """An open shard. `captions[r]` of row r has `id`, `text` and `concept_id`; `data[places[r][k]]` are bytes of its image k."""

    data: mmap.mmap
    captions: list[dict[str, str]]
    places: list[list[slice]]
    decoded: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)


class ImageStore:
    """The shards in use, opened when first needed; images are decoded once and kept within a bound."""

    def __init__(self, stage: Stage, shuffle_shards: int, decoded_bytes: int = DECODED_BYTES) -> None:
        """Raises ContractError for a stage without images."""
        self._stage = stage
        self.counts = [manifest.accepted for manifest in require_manifests(stage)]
        if not sum(self.counts):
            raise ContractError("the images stage holds no images; look at its rejects")
        # A batch may begin in one window of shards and end in the next.
        self._most = 2 * shuffle_shards
        self._held = OrderedDict[int, _Shard]()
        # Of a larger stage every image is drawn once before its shard leaves: keeping it decoded would serve nobody.
        self._free = decoded_bytes if stage.count <= self._most else 0
        self._numbers: dict[str, int] | None = None
        number = next(number for number, count in enumerate(self.counts) if count)
        first = next(read_shard(stage.shard(number), image_group.CONTRACT))
        self.copies = len(first.pixels)
        self.side = min(Image.open(io.BytesIO(first.pixels[0])).size)
        _allow_open_files(2 * self._most)

    @property
    def concepts(self) -> dict[str, int]:
        """Concept id -> number, of every concept of the stage in the order of ids; read once, from the metadata alone."""
        if self._numbers is None:
            columns = (read_rows(address, ["concept_id"]).column("concept_id") for address in self._stage.shards())
            known = set().union(*(column.unique().to_pylist() for column in columns))
            self._numbers = {concept: number for number, concept in enumerate(sorted(known))}
        return self._numbers

    def caption_ids(self, chosen: StepCaptions) -> list[str]:
        return [self._caption(*place)["id"] for place in chosen.places_C2.tolist()]

    def images(self, chosen: StepCaptions) -> ImageBatch:
        """The chosen images, caption by caption, with identities that follow from ids."""
        places = chosen.places_C2.tolist()
        captions = [self._caption(*place) for place in places]
        copies = chosen.copies_CK.tolist()
        wanted = [(shard, row, copy) for (shard, row), ks in zip(places, copies, strict=True) for copy in ks]
        pixels_ISS3 = np.stack([self._image(*place) for place in wanted])
        each = torch.tensor([len(row) for row in copies])
        classes_C = torch.tensor([_class(caption["text"]) for caption in captions])
        concepts_C = torch.tensor([self.concepts[caption["concept_id"]] for caption in captions])
        return ImageBatch(
            pixels_I3SS=torch.from_numpy(pixels_ISS3).permute(0, 3, 1, 2),
            captions_I=classes_C.repeat_interleave(each),
            images_I=torch.tensor(
                [seed_of(caption["id"], copy) for caption, row in zip(captions, copies, strict=True) for copy in row]
            ),
            concepts_I=concepts_C.repeat_interleave(each),
            texts=tuple(caption["text"] for caption in captions),
            captions_C=classes_C,
        )

    def first_images(self, captions: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The first image of each of the stage's first captions [N, S, S, 3], and their concepts' numbers [N]."""
        places = [(shard, row) for shard, count in enumerate(self.counts) for row in range(count)][:captions]
        pixels = np.stack([self._image(shard, row, 0) for shard, row in places])
        return pixels, np.array([self.concepts[self._caption(*place)["concept_id"]] for place in places])

    def _caption(self, shard: int, row: int) -> dict[str, str]:
        return self._shard(shard).captions[row]

    def _shard(self, number: int) -> _Shard:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        self._held[number] = shard = _open(self._stage.shard(number))
        for caption, places in zip(shard.captions, shard.places, strict=True):
            if len(places) != self.copies:
                stem = self._stage.shard(number).stem
                raise ShardError(
                    f"{stem}: caption {caption['id']} has {len(places)} images, others have {self.copies}", stem
                )
        if len(self._held) > self._most:
            _, gone = self._held.popitem(last=False)
            self._free += sum(image.nbytes for image in gone.decoded.values())
        return shard

    def _image(self, number: int, row: int, copy: int) -> np.ndarray:
        shard = self._shard(number)
        if (kept := shard.decoded.get((row, copy))) is not None:
            return kept
        data = shard.data[shard.places[row][copy]]
        image = decode(data, self.side, f"{shard.captions[row]['id']} copy {copy}")
        if image.nbytes <= self._free:
            shard.decoded[row, copy] = image
            self._free -= image.nbytes
        return image


def _allow_open_files(shards: int) -> None:
    """Raise this process's limit: an open shard may hold two files, and many systems allow 1,024 unless one asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = shards + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _open(address: ShardAddress) -> _Shard:
    tar = open_shard(address)
    captions = read_rows(address, ["id", "text", "concept_id"]).to_pylist()
    if [caption["id"] for caption in captions] != list(tar.members):
        raise ShardError(f"{address.stem} has other samples than rows, in {address.folder}", address.stem)
    places = []
    for members in tar.members.values():
        names = sorted((name for name in members if name != "json"), key=lambda name: int(name.partition(".")[0]))
        places.append([members[name] for name in names])
    return _Shard(tar.data, captions, places)


def decode(data: bytes, side: int, name: str) -> np.ndarray:
    """Decode to [side, side, 3] uint8, resampled if of another size. Raises ContractError for bytes that are no image."""
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ContractError(f"image {name} cannot be decoded: {error}; `synclr verify` names its shard") from error
    if image.size != (side, side):
        image = image.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _class(text: str) -> int:
    # A class is what the caption says, not where it stands: two captions of one text are positives of each other.
    return seed_of("class", " ".join(text.casefold().split()))

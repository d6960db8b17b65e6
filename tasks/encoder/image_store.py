"""Sealed image shards enter; decoded uint8 pictures of chosen captions leave. Holds a bounded number of shards."""

import io
import mmap
import resource
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from data_specs import image_group
from data_specs.errors import ContractError
from data_specs.ids import seed_of
from data_specs.shard import ShardAddress
from models.encoder.batch import Pictures
from tasks.encoder.batches import Choice
from tasks.shards import open_shard, read_rows, read_shard, require_all_sealed

DECODED_BYTES = 4 << 30
"""Of decoded pictures that a training keeps; the rest is decoded again from its stored bytes when it is drawn."""

OTHER_FILES = 512
"""That a process may need beside its shards."""


@dataclass(slots=True)
class _Shard:
    """Of row r: `captions[r]` has `id`, `text` and `concept_id`, `data[places[r][k]]` is picture k as it was sealed."""

    data: mmap.mmap
    captions: list[dict[str, str]]
    places: list[list[slice]]
    decoded: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)


class PictureStore:
    """The shards in use, opened when first needed; pictures are decoded once and kept within a bound."""

    def __init__(
        self, sources: Sequence[ShardAddress], shuffle_shards: int, decoded_bytes: int = DECODED_BYTES
    ) -> None:
        """Raises ContractError for a room without pictures."""
        self._sources = sources
        self.counts = [manifest.accepted for manifest in require_all_sealed(sources)]
        if not sum(self.counts):
            raise ContractError("the images room holds no pictures; look at its rejects")
        # A batch may begin in one window of shards and end in the next.
        self._most = 2 * shuffle_shards
        self._held = OrderedDict[int, _Shard]()
        # Of a larger room every picture is drawn once before its shard leaves: keeping it decoded would serve nobody.
        self._free = decoded_bytes if len(sources) <= self._most else 0
        self._numbers: dict[str, int] | None = None
        first = next(read_shard(sources[next(n for n, count in enumerate(self.counts) if count)], image_group.CONTRACT))
        self.copies = len(first.pixels)
        self.side = min(Image.open(io.BytesIO(first.pixels[0])).size)
        _allow_open_files(2 * self._most)

    @property
    def concepts(self) -> dict[str, int]:
        """Every concept of the room, numbered in the order of their ids; read from the metadata, once."""
        if self._numbers is None:
            columns = (read_rows(source, ["concept_id"]).column("concept_id") for source in self._sources)
            known = set().union(*(column.unique().to_pylist() for column in columns))
            self._numbers = {concept: number for number, concept in enumerate(sorted(known))}
        return self._numbers

    def keys(self, choice: Choice) -> list[str]:
        """The chosen captions' ids."""
        return [self._caption(*place)["id"] for place in choice.places_C2.tolist()]

    def pictures(self, choice: Choice) -> Pictures:
        """The chosen pictures, caption by caption, with identities that follow from ids."""
        places = choice.places_C2.tolist()
        captions = [self._caption(*place) for place in places]
        copies = choice.copies_CK.tolist()
        drawn = [(shard, row, copy) for (shard, row), ks in zip(places, copies, strict=True) for copy in ks]
        pixels_ISS3 = np.stack([self._picture(*place) for place in drawn])
        each = torch.tensor([len(row) for row in copies])
        classes_C = torch.tensor([_class(caption["text"]) for caption in captions])
        concepts_C = torch.tensor([self.concepts[caption["concept_id"]] for caption in captions])
        return Pictures(
            pixels_I3SS=torch.from_numpy(pixels_ISS3).permute(0, 3, 1, 2),
            captions_I=classes_C.repeat_interleave(each),
            images_I=torch.tensor(
                [seed_of(caption["id"], copy) for caption, row in zip(captions, copies, strict=True) for copy in row]
            ),
            concepts_I=concepts_C.repeat_interleave(each),
            texts=tuple(caption["text"] for caption in captions),
            captions_C=classes_C,
        )

    def first(self, captions: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """The first picture of each of the room's first captions [N, S, S, 3], and their concepts' numbers [N]."""
        places = [(shard, row) for shard, count in enumerate(self.counts) for row in range(count)][:captions]
        pixels = np.stack([self._picture(shard, row, 0) for shard, row in places])
        return pixels, np.array([self.concepts[self._caption(*place)["concept_id"]] for place in places])

    def _caption(self, shard: int, row: int) -> dict[str, str]:
        return self._shard(shard).captions[row]

    def _shard(self, number: int) -> _Shard:
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        self._held[number] = shard = _opened(self._sources[number])
        for caption, places in zip(shard.captions, shard.places, strict=True):
            if len(places) != self.copies:
                raise ContractError(
                    f"caption {caption['id']} of {self._sources[number].stem} has {len(places)} pictures, others "
                    f"have {self.copies}; `synclr verify` names what is wrong"
                )
        if len(self._held) > self._most:
            _, gone = self._held.popitem(last=False)
            self._free += sum(picture.nbytes for picture in gone.decoded.values())
        return shard

    def _picture(self, number: int, row: int, copy: int) -> np.ndarray:
        shard = self._shard(number)
        if (kept := shard.decoded.get((row, copy))) is not None:
            return kept
        data = shard.data[shard.places[row][copy]]
        picture = decode(data, self.side, f"{shard.captions[row]['id']} copy {copy}")
        if picture.nbytes <= self._free:
            shard.decoded[row, copy] = picture
            self._free -= picture.nbytes
        return picture


def _allow_open_files(shards: int) -> None:
    """A shard that is open may hold two; many systems allow a process 1,024 unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = shards + OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _opened(source: ShardAddress) -> _Shard:
    tar = open_shard(source)
    captions = read_rows(source, ["id", "text", "concept_id"]).to_pylist()
    if [caption["id"] for caption in captions] != list(tar.members):
        raise ContractError(f"{source.stem} has other samples than rows; `synclr verify` names what is wrong")
    places = []
    for members in tar.members.values():
        names = sorted((name for name in members if name != "json"), key=lambda name: int(name.partition(".")[0]))
        places.append([members[name] for name in names])
    return _Shard(tar.data, captions, places)


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

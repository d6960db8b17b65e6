"""The image shards of a lineage without pixels, as lines of JSON: captions, seeds, settings and the digests of the bytes.

One `Head`, then for each shard its manifest, its groups and its rejects; each is a line `{"<kind>": ...}`.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_specs.errors import ContractError
from data_specs.ids import digest
from data_specs.image_group import ImageGroup
from data_specs.json_text import parse_json
from data_specs.rejection import Rejection
from data_specs.sample import Sample
from data_specs.shard import ShardManifest
from data_specs.wire import from_json, to_json


class Head(BaseModel):
    """`facts` are what the lineage is the digest of: settings, seed and model revisions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=1, ge=1, le=1, description="of the file")
    lineage: str
    facts: dict[str, Any]
    threads: int | None = Field(default=None, ge=1, description="CPU threads of the engines that rendered it")


@dataclass(frozen=True, slots=True)
class ListedShard:
    """One shard of the list; its groups have no pixels."""

    manifest: ShardManifest
    groups: tuple[ImageGroup, ...]
    refused: tuple[Rejection, ...]


def encode(head: Head, shards: Iterable[ListedShard]) -> Iterator[bytes]:
    yield _line("head", head.model_dump(mode="json"))
    for shard in shards:
        yield _line("manifest", shard.manifest.model_dump(mode="json"))
        for group in shard.groups:
            yield _line("group", json.loads(to_json(group, without="pixels")))
        for refused in shard.refused:
            yield _line("refused", asdict(refused))


def decode(lines: Iterable[bytes]) -> tuple[Head, Iterator[ListedShard]]:
    """Raises ContractError for another kind of file, a lineage that is not its facts' digest, or a shard that is cut short."""
    parsed = (_parse(number, line) for number, line in enumerate(lines, 1))
    kind, value = next(parsed, ("", None))
    try:
        if kind != "head":
            raise ContractError("this is no list of images: it does not begin with a head")
        head = Head.model_validate(value)
    except ValidationError as error:
        raise ContractError(f"this is no list of images: {error.errors()[0]['msg']}") from error
    if digest(json.dumps(head.facts, sort_keys=True)) != head.lineage:
        raise ContractError(f"the list says lineage {head.lineage}, but its facts have another digest: it was changed")
    return head, _shards(parsed)


def _shards(parsed: Iterator[tuple[str, Any]]) -> Iterator[ListedShard]:
    manifest: ShardManifest | None = None
    groups: list[ImageGroup] = []
    refused: list[Rejection] = []
    for kind, value in parsed:
        match kind:
            case "manifest":
                if manifest:
                    yield _whole(manifest, groups, refused)
                manifest, groups, refused = ShardManifest.model_validate(value), [], []
            case "group":
                sample: Sample = {"__key__": value["caption"]["id"], "json": json.dumps(value).encode()}
                groups.append(from_json(ImageGroup, sample))
            case "refused":
                refused.append(Rejection(**value))
            case _:
                raise ContractError(f"the list holds a line {kind!r}, which nobody declared")
    if manifest:
        yield _whole(manifest, groups, refused)


def _whole(manifest: ShardManifest, groups: list[ImageGroup], refused: list[Rejection]) -> ListedShard:
    counted, promised = (len(groups), len(refused)), (manifest.accepted, sum(manifest.rejected.values()))
    if counted != promised:
        raise ContractError(
            f"the list has {counted} (groups, refused) of {manifest.stage}-{manifest.index:06d}; {promised} were sealed"
        )
    return ListedShard(manifest, tuple(groups), tuple(refused))


def _line(kind: str, value: Any) -> bytes:
    return json.dumps({kind: value}, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def _parse(number: int, line: bytes) -> tuple[str, Any]:
    try:
        [(kind, value)] = parse_json(line).items()
    except (ValueError, AttributeError) as error:
        raise ContractError(f"line {number} of the list is no JSON object of one kind") from error
    return str(kind), value

"""Where a shard lives, and what is promised about it once it is sealed."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


class FileDigest(BaseModel):
    """The size in bytes and sha256 of one file of a shard."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str


MARK_CHARACTERS = 12
"""Of a data file's digest, in its name: among a million files of one stem a chance of 0.2 % that any two are called alike."""


class ShardAddress(BaseModel):
    """`folder` is `<root>/<stage>/<lineage>`, a local path or any fsspec URL; `index` counts from 0 within the lineage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: str
    stage: str
    lineage: str
    index: int = Field(ge=0)

    @property
    def stem(self) -> str:
        return f"{self.stage}-{self.index:06d}"

    def file(self, suffix: str) -> str:
        """`suffix` is `json` (the manifest), or that of a note beside it, such as `made.json`."""
        return self.beside(f"{self.stem}.{suffix}")

    def beside(self, name: str) -> str:
        """A file of this name in the shard's folder."""
        return f"{self.folder.rstrip('/')}/{name}"

    def data_name(self, suffix: str, content: FileDigest) -> str:
        """`suffix` is `tar`, `parquet` or `rejects.jsonl`. Other content has another name: of two hosts that make one shard at
        once neither overwrites what the other promises.
        """
        return f"{self.stem}.{content.sha256[:MARK_CHARACTERS]}.{suffix}"

    def data_file(self, suffix: str, content: FileDigest) -> str:
        return self.beside(self.data_name(suffix, content))

    def data_names(self, manifest: "ShardManifest") -> set[str]:
        """Of all data files that a manifest promises."""
        return {self.data_name(suffix, content) for suffix, content in manifest.files.items()}


def neighbours(indices: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each group of shards that lie beside each other: 1, 2, 3, 7 are (1, 3) and (7, 7)."""
    groups: list[tuple[int, int]] = []
    for index in sorted(indices):
        if groups and index == groups[-1][1] + 1:
            groups[-1] = (groups[-1][0], index)
        else:
            groups.append((index, index))
    return groups


@dataclass(frozen=True, slots=True)
class MadeBy:
    """Who makes a shard: a run, and the flow run that a Prefect server knows it by; noted beside the shard."""

    run: str = ""
    flow_run: str | None = None


UNNAMED = MadeBy()


class ShardManifest(BaseModel):
    """Written last, so its presence means the files that it names are whole. Of all who make a shard the first one seals it.

    Holds no time, host or absolute path: the same content is the same manifest, wherever and whenever it was made.
    Who made it, when and how fast stands in `<stem>.made.json`, which nothing depends on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    lineage: str
    index: int = Field(ge=0)
    record: str
    accepted: int = Field(ge=0)
    rejected: dict[str, int] = {}
    files: dict[str, FileDigest]

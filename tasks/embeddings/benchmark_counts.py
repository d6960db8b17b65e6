"""Count what became of a data set: images of the sealed benchmark, rejects by reason, images of one colour."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from data_specs.shard import ShardAddress
from tasks.shards import read_rows, require_sealed


@dataclass(frozen=True, slots=True)
class BenchmarkCounts:
    """`lineage` is the benchmark's; `constant` counts the accepted images of which all pixels have one colour."""

    name: str
    lineage: str
    accepted: int
    rejected: dict[str, int]
    constant: int

    @property
    def is_plain(self) -> bool:
        """There is nothing that a person should know."""
        return not self.rejected and not self.constant

    def __str__(self) -> str:
        """`pets: 9 of 12 are images of the benchmark; left out 3 unreadable (FOLDER); 2 are of one colour`."""
        total = self.accepted + sum(self.rejected.values())
        text = f"{self.name}: {self.accepted:,} of {total:,} are images of the benchmark"
        if self.rejected:
            listed = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in self.rejected.items())
            text += f"; left out {listed} (benchmarks/{self.lineage}/*.rejects.jsonl)"
        return text + (f"; {self.constant:,} are of one colour" if self.constant else "")


def count_benchmark(name: str, shards: Sequence[ShardAddress]) -> BenchmarkCounts:
    """Raises ContractError for a shard that is not sealed."""
    manifests = [require_sealed(shard) for shard in shards]
    rejected = sum((Counter(manifest.rejected) for manifest in manifests), Counter[str]())
    constant = sum(sum(read_rows(shard, ["constant"])["constant"].to_pylist()) for shard in shards)
    accepted = sum(manifest.accepted for manifest in manifests)
    return BenchmarkCounts(name, shards[0].lineage, accepted, dict(rejected.most_common()), constant)

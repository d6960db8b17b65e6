"""Captions per second through the captions room, against raw `LLM.generate` on the same prompts, in one process."""

import json
import statistics
import tempfile
import time

from data_specs.concept import Concept
from data_specs.run import CaptionsSpec, ConceptsSpec
from data_specs.shard import ShardAddress
from flows.recipes import resolve
from models.captioner.build import build_captioner
from models.captioner.protocol import Ask, Captioner
from tasks.captions.compose import compose_shard
from tasks.concepts.ingest import ingest

ROUNDS = 3


class Listening:
    """Hands on every ask to the engine, and keeps what was asked and how long the engine took."""

    def __init__(self, engine: Captioner) -> None:
        self._engine, self.model = engine, engine.model
        self.calls: list[list[Ask]] = []
        self.seconds = 0.0

    def complete(self, asks: list[Ask]) -> list[str]:
        self.calls.append(list(asks))
        started = time.perf_counter()
        completions = self._engine.complete(asks)
        self.seconds += time.perf_counter() - started
        return completions


def main() -> None:
    spec: CaptionsSpec = resolve("tiny").captions
    concepts = [outcome for outcome in ingest(ConceptsSpec()) if isinstance(outcome, Concept)]
    engine = build_captioner(spec)
    ratios, rates = [], []
    for shard in range(ROUNDS + 1):  # the first warms the engine and is dropped
        listening = Listening(engine)
        with tempfile.TemporaryDirectory() as folder:
            address = ShardAddress(folder=folder, room="captions", lineage="a", index=shard)
            started = time.perf_counter()
            manifest = compose_shard(concepts, address, listening, spec, seed=0)
            room = time.perf_counter() - started
        started = time.perf_counter()
        for asks in listening.calls:
            engine.complete(asks)
        raw = time.perf_counter() - started
        ratios.append(raw / room)
        rates.append((manifest.accepted / room, sum(map(len, listening.calls)) / raw))
    kept, asked = (statistics.median(column) for column in zip(*rates[1:], strict=True))
    figures = {"benchmark": "captions", "model": engine.model.id, "per_shard": spec.per_shard}
    found = {"kept_per_second": round(kept, 2), "raw_asked_per_second": round(asked, 2)}
    print(json.dumps(figures | found | {"ratio": round(statistics.median(ratios[1:]), 3)}), flush=True)


if __name__ == "__main__":
    main()

"""The last two stages as a person runs them: an encoder with a text tower, and a folder of images."""

import hashlib
import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from data_specs import checkpoint
from data_specs.checkpoint import Checkpoint
from data_specs.shard import MadeBy
from flows.execution.stage_run import sum_up
from flows.inspect.verify import verify
from flows.launch.run import run_request
from flows.runs.plan import RunPlan, read_plan, record_sealed
from flows.runs.request import Request
from flows.runs.resolve import write_facts
from models.encoder.exported import export
from models.encoder.objectives import Objective
from support.made_up_run import make_run
from tasks import storage
from tasks.events import Event, Notice
from tasks.scores.summary import scored
from tasks.shards import make_shard

pytestmark = [pytest.mark.slow(30), pytest.mark.usefixtures("on_the_server")]


def folder(path: Path) -> Path:
    """Four images of each class to learn from and two to be tested on; one is cut off."""
    for split, count in (("train", 4), ("test", 2)):
        for shade, label in ((0, "dog"), (200, "heron")):
            (path / split / label).mkdir(parents=True)
            for number in range(count):
                stream = io.BytesIO()
                Image.new("RGB", (80, 70), (shade, shade, 40 * number)).save(stream, "PNG")
                (path / split / label / f"{number}.png").write_bytes(stream.getvalue())
    (path / "train/dog/0.png").write_bytes((path / "train/dog/0.png").read_bytes()[:60])
    return path


def train(plan: RunPlan) -> None:
    """An encoder of random weights, sealed as the encoder stage would."""
    stage = plan.stages["encoder"]
    torch.manual_seed(0)
    objective = Objective(plan.spec.encoder, 3)
    files = {f"encoder/{name}": data for name, data in export(objective.exported, objective.text).items()}
    for name, data in files.items():
        storage.write_bytes(f"{stage.folder}/{name}", data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    made = Checkpoint("e-1", 1, 1, "vit_tiny", "clip", 0, 1, "images", ("images-000000",), digests, {})
    write_facts(stage)
    make_shard(stage.table, checkpoint.CONTRACT, lambda: [made], made_by=MadeBy(plan.name))
    record_sealed(plan, sum_up(stage, made=1, seconds=1.0))


def test_ones_own_images_are_scored_with_and_without_text(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    pets = {"use": "image_folder", "name": "pets", "path": str(folder(tmp_path / "pets")), "size": 64}
    settings = {
        "encoder": {"objective": "clip", "text_width": 32, "text_depth": 1, "text_heads": 2},
        "embeddings": {
            "benchmarks": [],
            "random_inits": 0,
            "hog": False,
            "data_sets": [pets | {"metric": "mean_per_class"}],
        },
        "scores": {"protocols": ["knn", "few_shot"], "few_shots": [1], "few_shot_repeats": 2},
        "execution": {"workers": 1},  # a second engine of each stage takes longer to load than it saves
    }
    train(make_run(root, until="images", **settings))
    plan = read_plan(root, "made-up")
    overrides = {stage: value for stage, value in plan.spec.model_dump(mode="json").items() if stage != "seed"}
    asked = Request("tiny", "made-up", root, "embeddings", "scores", None, overrides)
    summary = run_request(asked)
    embeddings, scores = summary["stages"]
    assert (embeddings["shards"], scores["shards"]) == (2, 2)
    [refused] = [
        row for path in (tmp_path / "root/benchmarks").rglob("*.rejects.jsonl") for row in path.read_text().splitlines()
    ]
    assert "train/dog/0.png" in refused and "unreadable" in refused
    rows = list(scored(plan.stages["scores"]))
    found = {(row["benchmark"], row["subset"], row["protocol"], row["metric"]) for row in rows}
    assert found == {  # dogs were generated in this run, herons were not
        ("pets", subset, protocol, "mean_per_class")
        for subset in ("all", "seen", "unseen")
        for protocol in ("knn", "few_shot_1", "zero_shot")
    }
    assert {row["encoder"] for row in rows} == {"trained"}
    sizes = {(row["subset"], row["train_size"], row["test_size"]) for row in rows}
    assert sizes == {("all", 7, 4), ("seen", 7, 2), ("unseen", 7, 2)}
    assert any(line.startswith("pets, concepts not seen (zero_shot): this encoder") for line in summary["scores"])
    page = Path(summary["report"]).read_text(encoding="utf-8")
    assert "pets, concepts seen, zero shot" in page and "95 % interval" in page
    # Two images are asked about, one of each class; the seven to learn from are their others, or the four of the test.
    assert "What the encoder sees" in page and "among 11 images" in page and "this encoder" in page
    assert page.count("patch features of it, in colours") == 2 and page.count("data:image/webp;base64") >= 10
    assert (
        "pets: 11 of 12 are images of the benchmark; left out 1 unreadable" in page and "; 11 are of one colour" in page
    )
    assert verify(root, "made-up")[1] == []
    assert run_request(asked)["stages"][0]["made"] == 0
    owls = {"use": "image_folder", "name": "owls", "path": str(folder(tmp_path / "owls"))}
    more = overrides | {
        "embeddings": overrides["embeddings"] | {"data_sets": [pets | {"metric": "mean_per_class"}, owls]}
    }
    told: list[Event] = []
    again = run_request(Request("tiny", "made-up", root, "embeddings", "scores", None, more), [told.append])
    assert [(stage["shards"], stage["made"]) for stage in again["stages"]] == [(4, 2), (4, 2)]
    assert any(isinstance(event, Notice) and "2 of 4 shards are reused" in event.text for event in told)
    assert {line.split(",")[0].split(" (")[0] for line in again["scores"]} == {"pets", "owls"}
    assert verify(root, "made-up")[1] == []

"""The command that trains the tiny renderer: a few steps of every stage end in a folder that the stock pipeline draws with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tiny_renderer.train import main

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PREFECT_HOME": arguments[1] + "/prefect", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "tiny_renderer.train", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip


@pytest.mark.long(80)
def test_a_short_training_exports_weights_that_draw(tmp_path: Path) -> None:
    steps = ["autoencoder=1", "reader=1", "denoiser=1", "decoder=1"]
    scenes = ["--scenes", "64", "--threads", "1"]
    trained = run("--work", str(tmp_path), *scenes, "--set", *steps)
    assert trained.returncode == 0, trained.stderr[-2000:]
    stages = {json.loads(line).get("stage") for line in (tmp_path / "log.jsonl").read_text().splitlines()}
    assert stages == {"autoencoder", "reader", "denoiser", "decoder"}
    exported = run("--work", str(tmp_path), "--export", str(tmp_path / "out"))
    assert exported.returncode == 0 and (tmp_path / "out" / "model_index.json").exists()


def test_an_export_before_any_training_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["train", "--work", str(tmp_path), "--export", str(tmp_path / "out")])
    assert main() == 1
    said = capsys.readouterr().err
    assert "vocabulary" in said or "not there yet" in said
    assert not (tmp_path / "out").exists()

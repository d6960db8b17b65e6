"""Whatever is wrong with a file, a setting or a word of a command: one line and an exit code, never a traceback, never a wait."""

import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import flows.launch.run
from data_specs.errors import SynclrError
from flows.cli.app import main
from support.image_files import image_folder
from support.made_up_run import make_run
from support.mutations import BYTES, TEXT, mutate, restore

COUNT = int(os.environ.get("SYNCLR_TEST_MUTATIONS", "20"))
FAKE = ["captions.engine=fake", "images.engine=fake", "captions.total=8", "captions.per_shard=8"]
pytestmark = pytest.mark.slow(30)
Command = Callable[..., tuple[int, str]]


@pytest.fixture(params=[0, *(pytest.param(seed, marks=pytest.mark.long(30)) for seed in (1, 2, 3))])
def seed(request: pytest.FixtureRequest) -> int:
    """Other damage with each; some 230 are tried with one."""
    return int(request.param)


class ReachedError(SynclrError):
    """The work would begin here."""


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """A command line in this process, up to where work begins; exit code and what it said."""

    def begin(plan: Any, request: Any) -> None:
        raise ReachedError("reached")

    monkeypatch.setattr(flows.launch.run, "_make", begin)
    monkeypatch.setenv("SYNCLR_ROOT", str(tmp_path / "root"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["synclr", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = int(ended.value.code or 0)
        assert code in (0, 1, 2), said.err
        assert "Traceback" not in said.err + said.out
        if code:
            told = said.err.strip() or said.out
            assert 0 < len(told.splitlines()) <= 40 and len(told) < 6000, f"{len(told)} letters: {told[:200]}"
        return code, said.err

    return run


def each_mutation(seed: int, files: list[Path], ways: dict[str, Any], count: int = COUNT) -> Iterator[str]:
    """What was done to one of the files, `count` times, each file whole again in between."""
    whole = {path: path.read_bytes() for path in files}
    for number in range(count):
        chance = random.Random(seed * 100_000 + number)
        path = chance.choice(files)
        try:
            yield f"{number}: {mutate(path, chance, ways)}"
        finally:
            restore(path, whole[path])


def require_lines(mutations: Iterator[str], run: Callable[[], Any]) -> None:
    """Fails with what was raised, for those that end in something else than a line and an exit code."""
    found = {}
    for mutation in mutations:
        try:
            run()
        except Exception as error:  # noqa: BLE001
            found[mutation] = f"{type(error).__name__}: {ascii(str(error)[:300])}"
    assert not found, "".join(f"\n{mutation}: {raised}" for mutation, raised in found.items())


RECIPE = """
extends: tiny
seed: 3
concepts:
  sources:
    - {use: file, path: names.csv, column: name, category_column: sort, backgrounds: places.yaml}
  kinds: {object: 1.0}
captions:
  engine: fake
  total: 64
  per_shard: 8
  strategies: {concept: 0.5, relation: 0.2, background: 0.3}
  temperature: 0.6
images:
  engine: fake
  per_caption: 4
encoder:
  steps: 20
  local_crops: 2
embeddings:
  benchmarks: [styles]
  data_sets:
    - {use: image_folder, name: own, path: own}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "names.csv").write_text("name,sort\nfox,animals\nkettle,tools\ntram,vehicles\nowl,animals\n")
    (tmp_path / "places.yaml").write_text("fox: [meadow, forest]\nkettle: [kitchen]\ntram: [city street]\n")
    image_folder(tmp_path / "own")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def test_a_recipe_that_was_damaged(command: Command, seed: int, recipe: Path, tmp_path: Path) -> None:
    code, said = command("run", str(recipe))
    assert code == 1 and said.endswith("reached\n"), said
    require_lines(each_mutation(seed, [recipe], TEXT), lambda: command("run", str(recipe)))


@pytest.mark.parametrize("kind", ["csv", "tsv", "json", "jsonl", "yaml", "txt", "parquet"])
def test_a_list_that_was_damaged(command: Command, seed: int, tmp_path: Path, kind: str) -> None:
    names = ["fox", "kettle", "tram", "owl", "tea pot"]
    path, places = tmp_path / f"names.{kind}", tmp_path / "places.json"
    rows = [{"name": name, "sort": "things"} for name in names]
    texts = {
        "csv": "name,sort\n" + "".join(f"{name},things\n" for name in names),
        "tsv": "name\tsort\n" + "".join(f"{name}\tthings\n" for name in names),
        "json": json.dumps(rows),
        "jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "yaml": "".join(f"- {{name: {name}, sort: things}}\n" for name in names),
        "txt": "\n".join(names),
    }
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text(texts[kind])
    places.write_text(json.dumps({name: ["meadow", "road"] for name in names}))
    column = "" if kind == "txt" else "column: name, category_column: sort, "
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        "extends: tiny\nconcepts:\n  kinds: {object: 1.0}\n  sources:\n"
        f"    - {{use: file, path: {path}, {column}backgrounds: {places}}}\n"
    )
    assert command("plan", "concepts", str(recipe))[0] == 0
    ways = BYTES if kind == "parquet" else TEXT
    mutations = each_mutation(seed, [path, path, places], ways, COUNT // 3)
    require_lines(mutations, lambda: command("plan", "concepts", str(recipe)))


def test_a_setting_that_is_nonsense(command: Command, seed: int, recipe: Path) -> None:
    names = [
        "captions.total",
        "captions.strategies",
        "images.guidance_scale",
        "encoder.steps",
        "seed",
        "concepts.sources",
    ]
    names += [
        "embeddings.data_sets",
        "scores",
        "encoder",
        "images.model",
        "captions.model",
        "captions.nonsense",
        "",
        ".",
    ]
    values = [
        "",
        "null",
        "[",
        "{a: 1",
        "-1",
        "nan",
        "inf",
        "1e400",
        "9" * 400,
        "yes",
        "2024-02-30",
        "!!python/name:os.system",
        "*a",
    ]
    values += ["../..", "\x00", "\udce9", "x" * 50_000, "[[[[]]]]", "{}", "'", "&a [*a]", "on", "0x10", "1_000", "~"]
    chance = random.Random(seed)

    def said() -> Iterator[str]:
        for _ in range(COUNT):
            setting = f"{chance.choice(names)}{chance.choice(['=', '', '=='])}{chance.choice(values)}"
            asked[:] = ["run", str(recipe), "--set", setting]
            yield setting[:80]

    asked: list[str] = []
    require_lines(said(), lambda: command(*asked))


def test_words_of_a_command_that_are_nonsense(command: Command, seed: int, tmp_path: Path) -> None:
    make_run(str(tmp_path / "root"))
    verbs = [
        "run",
        "status",
        "show",
        "trace",
        "coverage",
        "quality",
        "verify",
        "list-images",
        "rebuild",
        "export",
        "redraw",
    ]
    words = [
        "made-up",
        "../made-up",
        "",
        ".",
        "/",
        "\x00",
        "\udce9",
        "images-000000",
        "images-999999",
        "captions-x",
        "-",
        "--",
        "a/b/c",
        "x" * 5000,
    ]
    words += [
        "--name",
        "--json",
        "--root",
        "--root=",
        "--root=/dev/null",
        "--root=s3://",
        "--root=nope://x",
        "--nonsense",
        "*",
        "fox/9",
    ]
    chance = random.Random(seed)

    def said() -> Iterator[str]:
        for _ in range(COUNT * 2):
            asked[:] = [chance.choice(verbs), *chance.choices(words, k=chance.randrange(4))]
            yield " ".join(asked)[:120]

    asked: list[str] = []
    require_lines(said(), lambda: command(*asked))


def test_a_finished_run_any_of_whose_files_was_damaged(command: Command, seed: int, tmp_path: Path) -> None:
    root = tmp_path / "root"
    plan = make_run(str(root))
    files = sorted(path for path in root.rglob("*") if path.is_file())
    verbs = [
        ["status"], ["status", plan.name], ["show", "images-000000"], ["show", "captions-000001"], ["show", plan.name],
        ["coverage", plan.name], ["quality", plan.name], ["verify"], ["export", plan.name, "--output", "out"],
        ["list-images", plan.name, "listed"], ["run", "tiny", "--name", plan.name, *sum((["--set", one] for one in FAKE), [])],
    ]  # fmt: skip
    turn = iter(range(10**6))
    require_lines(each_mutation(seed, files, TEXT, COUNT * 4), lambda: command(*verbs[next(turn) % len(verbs)]))


def test_an_image_folder_any_of_whose_files_was_damaged(
    command: Command, seed: int, recipe: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    Image.fromarray(np.full((9, 9), 7, np.uint16)).save(own / "train" / "cat" / "grey.png")
    files = sorted(path for path in own.rglob("*") if path.is_file())
    require_lines(each_mutation(seed, files, BYTES), lambda: command("run", str(recipe)))

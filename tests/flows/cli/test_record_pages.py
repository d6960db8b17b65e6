"""`synclr show` prints a page: a line a record within the terminal's width, counts with units, and how to see the rest."""

import json
import time
import tracemalloc
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from data_specs.concept import CONTRACT, Concept
from data_specs.ids import concept_id
from data_specs.rejection import Rejection
from data_specs.shard import MadeBy
from data_specs.stage import ALL_STAGES, RECORDS
from flows.cli.app import app
from flows.runs.lineages import stages_under
from support.made_up_run import make_run
from tasks.shard_leftovers import put_aside
from tasks.shards import make_shard, read_rows

WIDTH = 80


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("root"))
    make_run(folder, name="first")
    return folder


def show(root: str, *words: str) -> Result:
    return CliRunner().invoke(app, ["show", *words, "--root", root], env={"COLUMNS": str(WIDTH)})


@pytest.mark.parametrize("stage", [stage for stage in ALL_STAGES if stage != "backgrounds"])
def test_every_stages_shard_is_a_page(root: str, stage: str) -> None:
    shown = show(root, f"{stage}-000000", "--head", "5")
    assert shown.exit_code == 0, shown.output
    title, folder, *lines = shown.stdout.splitlines()
    assert title.startswith(f"{stage}-000000 of lineage ") and ", made by run first on 20" in title
    assert (
        f" {RECORDS[stage].removesuffix('s')}" in title
        and title.endswith(" rejected")
        and folder.endswith(title.split()[3].rstrip(","))
    )
    assert len(lines) < 40 and all(len(line) <= WIDTH for line in lines if not line.startswith("contact sheet"))


def test_a_page_says_what_it_leaves_out(root: str) -> None:
    lines = show(root, "captions-000001", "--head", "3").stdout.splitlines()
    assert ": 12 captions, 5 rejected" in lines[0]
    header, first, *_ = lines[2:]
    table = read_rows(stages_under(root, "captions")[0].shard(1)).to_pylist()
    assert (
        header.split() == ["id", "text"]
        and first.split()[0] == table[0]["id"]
        and table[0]["text"].startswith(first.split(maxsplit=1)[1].rstrip("…"))
    )
    assert lines[6:8] == ["and 9 more: --head 12, or --json", "rejected: concept_missing 3, empty 2"]
    assert lines[-1] == "and 2 more: --head 5, or --json"
    assert len(json.loads(show(root, "captions-000001", "--head", "3", "--json").stdout)["records"][0]["records"]) == 12


def test_a_record_is_shown_whole_with_its_names_beside(root: str) -> None:
    [row] = read_rows(stages_under(root, "captions")[0].shard(0)).to_pylist()[:1]
    shown = show(root, row["id"]).stdout
    assert f"caption {row['id']}, captions-000000 of lineage " in shown and row["text"] in " ".join(shown.split())
    assert "examples" in shown and "cat => a cat asleep" in shown and "contact sheet: " in shown


def test_a_table_of_21_000_names_with_backgrounds_is_a_page(tmp_path: Path) -> None:
    """It was 72 MB of text, after 250 s, with 5.2 GB of memory."""
    run = make_run(str(tmp_path), until="concepts")
    table, backgrounds = (
        run.stages["concepts"].table,
        tuple(f"a place of some sort, number {number}" for number in range(80)),
    )
    put_aside(table, "made anew below")
    many = [
        Concept(concept_id("object", f"name {n}"), f"name {n}", "object", "other", 1 / 21_000, ("list",), backgrounds)
        for n in range(21_000)
    ]
    outcomes = [
        *many,
        *(Rejection(str(n), "merged", f"'{n}' of list is '{n}' of list: listed twice") for n in range(900)),
    ]
    make_shard(table, CONTRACT, lambda: outcomes, made_by=MadeBy("first"), tar=False)
    started = time.process_time()
    tracemalloc.start()
    lines = show(run.root, "concepts-000000").stdout.splitlines()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ": 21,000 concepts, 900 rejected" in lines[0] and len(lines) == 2 + 21 + 1 + 1 + 20 + 1
    assert lines[3].split() == [many[0].id, "object", "80", "other", "name", "0"]
    assert "and 20,980 more: --head 21000, or --json" in lines and max(map(len, lines[2:])) <= WIDTH
    assert most < 50 * 2**20 and time.process_time() - started < 20
    [one] = [line for line in show(run.root, "name 7").stdout.splitlines() if "number 11" in line]
    assert "and 68 more: --json" in " ".join(show(run.root, "name 7").stdout.split()) and one
    assert "did you mean 'name 7'" in str(show(run.root, "nname 7").exception)


def test_texts_of_a_language_model_are_no_commands_to_a_terminal_and_stay_on_their_line(tmp_path: Path) -> None:
    run = make_run(str(tmp_path), until="concepts")
    table = run.stages["concepts"].table
    put_aside(table, "made anew below")
    odd = [Rejection("k", "odd", text) for text in ("a\x1b[31mred\nline", "b\u2028c\x85d", "[red]fox :dog:", "狐" * 60)]
    fox = Concept(concept_id("object", "fox"), "fox", "object", "other", 1.0, ("list",))
    make_shard(table, CONTRACT, lambda: [fox, *odd], made_by=MadeBy("first"), tar=False)
    lines = show(run.root, "concepts-000000").stdout.splitlines()[-4:]
    assert lines[:3] == ["odd  a�[31mred line", "odd  b c d", "odd  [red]fox :dog:"]
    assert lines[3] == "odd  " + "狐" * 37 + "…"

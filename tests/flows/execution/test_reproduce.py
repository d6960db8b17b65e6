"""A paper's table as recipes: every file is right before anything is walked, and figures are those of the runs."""

import pytest
from rich.console import Console

from data_specs.errors import SpecError
from flows.cli import app as cli
from flows.execution import reproduce
from flows.runs.request import Request
from flows.runs.resolve import rooms


def requests(name: str) -> dict[str, Request]:
    asked = reproduce.read_reproduction(name)
    return {v.name: reproduce._request(asked, v, name, "/root", 1, {}) for v in asked.variants}


@pytest.mark.parametrize("name", reproduce.names())
def test_every_variant_is_a_recipe_that_differs_from_the_others(name: str) -> None:
    specs = {variant: request.resolved().spec for variant, request in requests(name).items()}
    assert len({spec.model_dump_json() for spec in specs.values()}) == len(specs)
    assert all(spec.encoder.repeat == 1 and not spec.embeddings.hog for spec in specs.values())


@pytest.mark.parametrize("name", ["granularity", "components", "positives", "clip", "length"])
def test_variants_of_an_encoder_share_captions_and_pictures(name: str) -> None:
    lineages = [rooms(request.resolved().spec, "/root")["images"].lineage for request in requests(name).values()]
    assert len(set(lineages)) == 1


@pytest.mark.parametrize("name", ["guidance", "positives"])
def test_rows_that_the_paper_learned_with_stablerep_learn_with_it_here(name: str) -> None:
    assert {request.resolved().spec.encoder.objective for request in requests(name).values()} == {"stablerep"}


def test_a_repeat_trains_anew_on_the_same_pictures() -> None:
    asked = reproduce.read_reproduction("clip")
    first, second = (
        rooms(reproduce._request(asked, asked.variants[0], "clip", "/root", repeat, {}).resolved().spec, "/root")
        for repeat in (0, 1)
    )
    assert first["images"].lineage == second["images"].lineage
    assert first["encoder"].lineage != second["encoder"].lineage


def test_a_table_that_there_is_not_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(SpecError, match="there are clip, components, granularity"):
        reproduce.read_reproduction("table-9")


def test_knobs_of_a_row_win_over_those_given_for_all_rows() -> None:
    asked = reproduce.read_reproduction("positives")
    turned = {"encoder": {"steps": 7, "captions_per_step": 5}}
    rows = [
        reproduce._request(asked, v, "positives", "/root", 0, turned).resolved().spec.encoder for v in asked.variants
    ]
    assert [(row.steps, row.captions_per_step) for row in rows] == [(7, 64), (7, 32)]


def test_a_spread_is_over_repeats() -> None:
    found = [
        {"run": run, "hours": 1.0, "images_seen": 9, "styles ridge": value} for run, value in (("a", 0.1), ("b", 0.3))
    ]
    row = reproduce._row(reproduce.read_reproduction("clip").variants[0], found)
    assert (row["hours"], row["images_seen"], list(row["ours"])) == (2.0, 9, ["styles ridge"])
    assert row["ours"]["styles ridge"]["mean"] == pytest.approx(0.2)
    assert row["ours"]["styles ridge"]["deviation"] == pytest.approx(0.1414, abs=1e-4)


@pytest.mark.parametrize("name", reproduce.names())
def test_a_table_fits_a_terminal_of_100_columns(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = reproduce.read_reproduction(name)
    benchmarks = ("styles", "styles_categories", "training_styles")
    ours = {f"{benchmark} {protocol}": 0.1234 for benchmark in benchmarks for protocol in ("knn", "ridge")}
    found = [{"run": "a", "hours": 1.5, "images_seen": 1_234_567} | ours] * 3
    told = {"title": asked.title, "source": asked.source, "columns": asked.columns, "repeats": 3}
    monkeypatch.setattr(cli, "out", Console(width=100))
    cli._show_reproduction(told | {"variants": [reproduce._row(variant, found) for variant in asked.variants]})
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if "±" in line]
    assert len(rows) == len(ours)
    assert all(line.count("12.3 ±0.0") == len(asked.variants) for line in rows)
    assert sum("1,234,567" in line for line in lines) == 1


def test_what_one_encoder_alone_was_asked_stands_in_its_column_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = reproduce.read_reproduction("clip")
    measured = {"hours": 1.5, "images_seen": 9, "styles ridge": 0.5}
    clip, synclr = (
        reproduce._row(variant, [{"run": variant.name} | measured | more])
        for variant, more in zip(asked.variants, ({"styles zero_shot": 0.25}, {}), strict=True)
    )
    told = {"title": asked.title, "source": asked.source, "columns": asked.columns, "repeats": 1}
    monkeypatch.setattr(cli, "out", Console(width=100))
    for variants in ([clip, synclr], [synclr, clip]):
        cli._show_reproduction(told | {"variants": variants})
        lines = {line.strip().split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
        assert lines["styles ridge"].count("50.0") == 2 and lines["styles zero shot"].count("25.0") == 1

"""Tables for people: they fit a terminal, say what the JSON says, and print texts as they are."""

import pytest
from rich.console import Console

from flows.cli import printing, tables
from flows.launch import reproduce

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "out", Console(width=100, markup=False, emoji=False))


@pytest.mark.parametrize("name", reproduce.names())
def test_a_reproduction_fits_a_terminal_of_100_columns(name: str, capsys: Capture) -> None:
    table = reproduce.read_reproduction(name)
    benchmarks = ("styles", "styles_categories", "training_styles")
    ours = {f"{benchmark} {protocol}": 0.1234 for benchmark in benchmarks for protocol in ("knn", "ridge")}
    rows = [{"run": "a", "hours": 1.5, "images_seen": 1_234_567} | ours] * 3
    variants = [reproduce._row(variant, rows) for variant in table.variants]
    heading = {"title": table.title, "source": table.source, "columns": table.columns, "repeats": 3}
    tables.print_reproduction(heading | {"variants": variants})
    lines = capsys.readouterr().out.splitlines()
    measured = [line for line in lines if "±" in line]
    assert len(measured) == len(ours)
    assert all(line.count("12.3 ±0.0") == len(table.variants) for line in measured)
    assert sum("1,234,567" in line for line in lines) == 1


def test_what_one_encoder_alone_was_asked_stands_in_its_column_alone(capsys: Capture) -> None:
    table = reproduce.read_reproduction("clip")
    measured = {"hours": 1.5, "images_seen": 9, "styles ridge": 0.5}
    clip, synclr = (
        reproduce._row(variant, [{"run": variant.name} | measured | more])
        for variant, more in zip(table.variants, ({"styles zero_shot": 0.25}, {}), strict=True)
    )
    heading = {"title": table.title, "source": table.source, "columns": table.columns, "repeats": 1}
    for variants in ([clip, synclr], [synclr, clip]):
        tables.print_reproduction(heading | {"variants": variants})
        lines = {line.strip().split("  ")[0]: line for line in capsys.readouterr().out.splitlines()}
        assert lines["styles ridge"].count("50.0") == 2 and lines["styles zero shot"].count("25.0") == 1


def test_brackets_and_colons_in_data_are_printed_as_they_are(capsys: Capture) -> None:
    """Rich would take the first for a style and the second for an emoji."""
    row = {"kind": "object", "weight": 0.5, "strategy": "concept", "planned": 2, "asked": 3, "kept": 1, "left_out": 0}
    tables.print_coverage([row | {"concept": "a [red] fox :dog:"}], head=20)
    assert "a [red] fox :dog:" in capsys.readouterr().out


def test_the_concept_that_kept_least_comes_first(capsys: Capture) -> None:
    row = {"kind": "object", "weight": 0.5, "strategy": "concept", "planned": 4, "asked": 9, "left_out": 0}
    rows = [row | {"concept": "fox", "kept": 4}, row | {"concept": "owl", "kept": 1}]
    tables.print_coverage(rows, head=2)
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith("owl") and second.startswith("fox")
    tables.print_coverage(rows * 500, head=3)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5 and lines[-1] == "and 997 more: --head 1000, or --json"


def test_a_run_summary_says_what_was_made_and_what_was_reused(capsys: Capture) -> None:
    stage = {
        "stage": "captions",
        "shards": 4,
        "made": 1,
        "sealed": 4,
        "accepted": 30,
        "rejected": {"exhausted": 2},
        "stale": ["seed"],
    }
    of_a_slice = stage | {"shards": 8, "stale": []}
    tables.print_run_summary(
        {"run": "tiny", "stages": [stage, of_a_slice], "scores": ["ridge 11 %"], "report": "/root/report.html"}
    )
    assert capsys.readouterr().out.splitlines() == [
        "captions   1 of 4 shards made, 3 reused, 30 captions, 2 rejected",
        "           was stale: seed",
        "captions   1 of 8 shards made, 3 reused, 4 left to other slices, 30 captions, 2 rejected",
        "ridge 11 %",
        "report     /root/report.html",
    ]

"""Faults that can still be planted: each text stands in its file exactly once, and the tests that should notice it are there."""

import ast
from functools import cache
from pathlib import Path

import pytest

from support.faults import FAULTS, Fault
from support.plant_faults import PlantingError, faulty

ROOT = Path(__file__).parents[1]


@cache
def functions_in(path: Path) -> frozenset[str]:
    return frozenset(
        node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)
    )


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_planted_and_its_tests_exist(fault: Fault) -> None:
    text = faulty(fault, ROOT)
    assert text != (ROOT / fault.path).read_text("utf-8")
    if fault.path.endswith(".py"):
        ast.parse(text)  # what no interpreter reads, any test would catch
    assert fault.tests
    for test in fault.tests:
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), path
        assert not name or name.partition("[")[0] in functions_in(ROOT / path), test


def test_the_test_of_a_fault_is_called_as_it_says(collected: frozenset[str]) -> None:
    """Its parameters too, as far as pytest was asked for these files."""
    known = collected | {name.partition("[")[0] for name in collected}
    files = {name.partition("::")[0] for name in collected}
    named = {test for fault in FAULTS for test in fault.tests if "::" in test}
    assert not {test for test in named if test.partition("::")[0] in files and test not in known}


def test_faults_have_names_of_their_own_and_stand_on_every_floor() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
    assert {fault.path.partition("/")[0] for fault in FAULTS} >= {"data_specs", "models", "tasks", "flows", "docker"}
    assert sum(fault.slow for fault in FAULTS) >= 8


@pytest.mark.parametrize("text", ["", "one = 1\none = 1\n"])
def test_a_text_that_is_gone_or_not_alone_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(text)
    with pytest.raises(PlantingError, match="doubled: the text to replace stands . times in some.py, not once"):
        faulty(Fault("doubled", "some.py", "one = 1", "one = 2", ()), tmp_path)

"""No evaluation style may reach the generator: nothing that its training imports names such a sheet or opens one."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHEETS = {"evaluation_sheets", "read_sheets", "photographs_of", "PhotographSet"}
ENTRIES = ("tiny_renderer/train.py", "benchmarks/tiny_renderer/judge.py")


def imported(path: Path) -> set[Path]:
    """The project's own files that a file imports, at its top or inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {found for name in names if (found := ROOT / f"{name.replace('.', '/')}.py").exists()}


def reached(entry: Path) -> set[Path]:
    """Everything that an entry imports, however far down."""
    found, waiting = {entry}, [entry]
    while waiting:
        new = imported(waiting.pop()) - found
        found |= new
        waiting += new
    return found


@pytest.mark.parametrize("entry", ENTRIES)
def test_nothing_that_training_imports_names_the_evaluation_sheets(entry: str) -> None:
    files = reached(ROOT / entry)
    expected = ("tiny_renderer/stages.py", "models/tiny_world/scenes.py", "models/tiny_world/sprites.py")
    assert {ROOT / name for name in expected} <= files
    for path in files - {ROOT / "models/tiny_world/sprites.py"}:
        tree = list(ast.walk(ast.parse(path.read_text())))
        names = {node.id for node in tree if isinstance(node, ast.Name)}
        names |= {node.attr for node in tree if isinstance(node, ast.Attribute)}
        names |= {alias.name for node in tree if isinstance(node, ast.ImportFrom) for alias in node.names}
        assert not names & SHEETS, path


def test_rendering_the_training_set_opens_no_evaluation_file(tmp_path: Path) -> None:
    program = f"""
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from pathlib import Path
from tiny_renderer.image_set import render_split
render_split(Path({str(tmp_path)!r}), "training", 12, 1)
assert any("tiny_world/training" in path for path in opened)
assert not [path for path in opened if "tiny_world/evaluation" in path or "data_specs/photographs" in path]
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, timeout=60)

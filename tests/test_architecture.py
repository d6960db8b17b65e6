"""The rules of the house that imports and names can break."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLOORS = ("data_specs", "models", "tasks", "flows")
ROOMS = {"concepts", "captions", "images", "encoder", "embeddings", "scores"}
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py") if path.stat().st_size)
HOMES = {
    "webdataset": ("tasks/shards.py",),
    "vllm": ("models/captioner/vllm.py",),
    "diffusers": (
        "models/renderer/loading.py",
        "models/renderer/scheduling.py",
        "tiny_renderer/networks.py",
        "models/scorer/safety.py",
    ),
    "fsspec": ("tasks/storage.py",),
    "typer": ("flows/cli/app.py",),
    "tensorboardX": ("tasks/encoder/metrics.py",),
    "datasketch": ("tasks/captions/near_duplicates.py",),
}
LIGHT = {"data_specs": {"data_specs", "pydantic", "pyarrow"}}
BANNED_NAMES = re.compile(r"(^|_)(utils?|common|helpers?|misc|manager|handler|base|core)(_|$)")


def imported(path: Path) -> set[str]:
    """Dotted names of everything a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=short)
def test_imports_only_go_down(path):
    floor = FLOORS.index(path.relative_to(ROOT).parts[0])
    above = {name.split(".")[0] for name in imported(path)} & set(FLOORS[floor + 1 :])
    assert not above, f"{short(path)} imports {above} from a floor above"


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[-3:-2] == ("tasks",)], ids=short)
def test_rooms_never_import_each_other(path):
    room = path.parent.name
    others = {name.split(".")[1] for name in imported(path) if name.startswith("tasks.")} & (ROOMS - {room})
    assert not others, f"{short(path)} imports the rooms {others}; rooms meet only through shards"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_each_heavy_library_has_one_home(path):
    tops = {name.split(".")[0] for name in imported(path)}
    for library, homes in HOMES.items():
        assert library not in tops or short(path) in homes, f"{short(path)} imports {library}; its home is {homes}"
    assert not (path.relative_to(ROOT).parts[0] in ("data_specs", "models") and "prefect" in tops)


def test_to_look_at_what_is_there_loads_no_engine():
    """Nobody who asks for a status should wait for torch."""
    looking = ("cli", "request", "status", "verify", "show", "trace", "coverage", "plan_concepts", "plan_captions")
    program = f"import sys, {', '.join(f'flows.{name}' for name in looking)}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "vllm", "diffusers", "transformers"} & set(done.stdout.split())


@pytest.mark.parametrize("path", [path for path in FILES if path.is_relative_to(ROOT / "data_specs")], ids=short)
def test_data_specs_stay_light(path):
    outside = {name.split(".")[0] for name in imported(path)} - LIGHT["data_specs"] - set(sys.stdlib_module_names)
    assert not outside, f"{short(path)} imports {outside}"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_every_module_opens_with_a_sentence_and_has_a_name_that_says_something(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring and docstring[0].isupper(), f"{short(path)} does not say what enters and what leaves"
    assert not BANNED_NAMES.search(path.stem), f"{short(path)}: name it by its job"


@pytest.mark.parametrize("path", FILES, ids=short)
def test_nothing_is_unpickled_from_disk(path):
    text = path.read_text(encoding="utf-8")
    assert "pickle.load" not in text and "allow_pickle=True" not in text
    assert all("weights_only=True" in call for call in re.findall(r"torch\.load\([^)]*\)", text))


def test_every_flow_resolves_its_futures():
    """A failed upstream that is never asked for its result lets a flow end COMPLETED."""
    for path in (ROOT / "flows").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if ".submit(" in text:
            assert ".result()" in text or "walk_shards(" in text, f"{short(path)} submits and never asks for results"

"""The rules of the house that imports and names can break."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from data_specs.stage import STAGES

ROOT = Path(__file__).parent.parent
FLOORS = ("data_specs", "models", "tasks", "flows")
FILES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py") if path.stat().st_size)
ALL = [*FILES, *sorted((ROOT / "tiny_renderer").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
ONE_HOME = {
    "webdataset": ("tasks/shards.py",),
    "vllm": ("models/captioner/vllm.py",),
    "diffusers": ("models/renderer/loading.py", "models/renderer/scheduling.py", "models/scorer/safety.py"),
    "fsspec": ("tasks/storage.py",),
    "tensorboardX": ("tasks/encoder/metrics.py",),
    "datasketch": ("tasks/captions/near_duplicates.py",),
}
WITHOUT_PREFECT = (
    "flows/runs",
    "flows/inspect",
    "flows/repair",
    "flows/report",
    "flows/site",
    "data_specs",
    "models",
    "tasks",
)
MOST_LINES = 400
MOST_LINES_OF_A_FLOW = 40
BANNED_NAMES = re.compile(r"(^|_)(utils?|common|helpers?|misc|manager|handler|core)(_|$)")
DIALECT = re.compile(r"\b(rooms?|knobs?|walk(s|ed|ing)?|visit(s|ed)?)\b", re.IGNORECASE)
"""Words of our own for the field's: stage, setting, run, stage run. A living room may stay."""


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imported(path: Path) -> frozenset[str]:
    """Dotted names of everything a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def edges() -> Iterator[tuple[Path, Path]]:
    """File to file, of the four floors."""
    modules = {short(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in FILES}
    for path in FILES:
        for name in imported(path):
            # `from package import module` is an import of the module, and not of what the package's own file holds.
            whole = any(other.startswith(f"{name}.") and other in modules for other in imported(path))
            if name in modules and modules[name] != path and not whole:
                yield path, modules[name]


def test_imports_only_go_down():
    wrong = []
    for path in FILES:
        above = {*FLOORS[FLOORS.index(path.relative_to(ROOT).parts[0]) + 1 :], "tiny_renderer", "benchmarks", "tests"}
        wrong += [f"{short(path)} imports {name}" for name in imported(path) if name.split(".")[0] in above]
    assert not wrong


def test_stages_never_import_each_other():
    """They meet only through shards."""
    wrong = []
    for path in FILES:
        if path.parts[-3:-2] == ("tasks",) and path.parent.name in STAGES:
            others = {name.split(".")[1] for name in imported(path) if name.startswith("tasks.")} & set(STAGES)
            wrong += [f"{short(path)} imports {other}" for other in others - {path.parent.name}]
    assert not wrong


def test_no_two_folders_and_no_two_files_import_each_other():
    files, folders = defaultdict(set), defaultdict(set)
    for importer, target in edges():
        files[importer].add(target)
        if importer.parent != target.parent:
            folders[importer.parent].add(target.parent)
    both = [f"{short(one)} and {short(other)}" for graph in (files, folders) for one in graph for other in graph[one]
            if one < other and one in graph.get(other, ())]  # fmt: skip
    assert not both
    assert not _cycle(files), "files import each other in a ring"


def _cycle(graph: dict[Path, set[Path]]) -> list[str]:
    left = {path: set(targets) for path, targets in graph.items()}
    while ready := [path for path in left if not left[path] & left.keys()]:
        for path in ready:
            del left[path]
    return [short(path) for path in left]


def test_json_of_anybodys_is_read_in_one_way():
    """`json.loads` itself is for what the same line has written: what is nested too deeply ends it with a RecursionError."""
    wrong = []
    for path in FILES:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if "json.loads(" in line and not re.search(r"json\.loads\((json\.dumps|to_json)\(|\*\*hooks", line):
                wrong.append(f"{short(path)}:{number}")
    assert not wrong


def test_each_heavy_library_has_one_home():
    wrong = []
    for path in FILES:
        tops = {name.split(".")[0] for name in imported(path)}
        wrong += [
            f"{short(path)}: {name}" for name, homes in ONE_HOME.items() if name in tops and short(path) not in homes
        ]
        if "typer" in tops and not path.is_relative_to(ROOT / "flows" / "cli"):
            wrong.append(f"{short(path)}: typer")
    assert not wrong


def test_what_reads_and_mends_runs_and_what_an_engine_does_know_no_prefect():
    """Inspecting, repairing, reporting need no server; an engine's process would load Prefect for a second, and not use it."""
    folders = [ROOT / folder for folder in WITHOUT_PREFECT]
    found = [short(path) for path in FILES if any(map(path.is_relative_to, folders)) and "prefect" in _tops(path)]
    assert not found


def _tops(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(path)}


LOOKING = ("cli.app", "runs.request", "runs.status", "inspect.verify", "inspect.show", "inspect.trace",
           "inspect.coverage", "inspect.plan_concepts", "inspect.plan_captions", "site.app")  # fmt: skip
RUNNING = ("synclr", "by_stage", "launch.run", "server.deployments")


@pytest.mark.parametrize("files", [LOOKING, RUNNING], ids=["a status", "the flow of a run"])
def test_what_has_no_engine_loads_none(files):
    """Nobody who asks for a status should wait for torch; a run's flow starts an engine's process, and waits for that one."""
    program = f"import sys, {', '.join(f'flows.{name}' for name in files)}\nprint(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "vllm", "diffusers", "transformers", "scipy", "sklearn", "datasketch"} & set(
        done.stdout.split()
    )


def test_data_specs_stay_light():
    light = {"data_specs", "pydantic", "pyarrow"} | set(sys.stdlib_module_names)
    heavy = {short(path): _tops(path) - light for path in FILES if path.is_relative_to(ROOT / "data_specs")}
    assert not {path: tops for path, tops in heavy.items() if tops}


def test_flows_are_read_on_one_screen_and_no_file_is_long():
    lines = {short(path): len(path.read_text(encoding="utf-8").splitlines()) for path in ALL}
    assert not {path: n for path, n in lines.items() if n > MOST_LINES}
    flows = {path: n for path, n in lines.items() if path.startswith("flows/") and path.count("/") == 1}
    assert flows and not {path: n for path, n in flows.items() if n >= MOST_LINES_OF_A_FLOW}


def test_every_module_opens_with_a_sentence_and_has_a_name_that_says_something():
    wrong = []
    for path in ALL:
        docstring = ast.get_docstring(tree(path)) or ""
        if path.stat().st_size and not docstring[:1].isupper():
            wrong.append(f"{short(path)} does not say what it is for")
        if BANNED_NAMES.search(path.stem):
            wrong.append(f"{short(path)}: name it by its job")
    assert not wrong


def test_a_class_name_stands_for_one_thing():
    homes = defaultdict(list)
    for path in FILES:
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(short(path))
    assert not {name: where for name, where in homes.items() if len(where) > 1}


def test_the_code_speaks_the_fields_words():
    wrong = []
    for path in [*ALL, *sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if DIALECT.search(
                re.sub(r"living.room|\"room\"|\b(ast|os)\.walk\(|\broom for\b|\bno room\b|\bmore room\b", "", line)
            ):
                wrong.append(f"{short(path)}:{number}: {line.strip()}")
    assert not wrong


def test_nothing_is_unpickled_from_disk():
    for path in ALL:
        text = path.read_text(encoding="utf-8")
        assert "pickle.load" not in text and "allow_pickle=True" not in text, short(path)
        assert all("weights_only=True" in call for call in re.findall(r"torch\.load\([^)]*\)", text)), short(path)


def test_every_flow_resolves_its_futures():
    """A failed upstream that is never asked for its result lets a flow end COMPLETED."""
    for path in (ROOT / "flows").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert ".submit(" not in text or ".result()" in text, f"{short(path)} submits and never asks for results"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_word_everywhere(stage):
    """`grep -r captions` is the architecture diagram."""
    for place in (f"tasks/{stage}", f"data_specs/specs/{stage}.py", f"tests/tasks/{stage}"):
        assert (ROOT / place).exists(), place
    assert [path.name for path in (ROOT / "flows").glob(f"*_{stage}.py")]

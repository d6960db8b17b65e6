"""Plant faults in throw-away copies of the tree, one at a time, and tell which test catches each.

    .venv/bin/python tests/support/plant_faults.py --fast --jobs 2
    .venv/bin/python tests/support/plant_faults.py --only teacher-momentum-swapped manifest-before-its-data --whole

A fault is caught if one of the tests that it names fails with it, and passes without it. Exit codes: 0 all were caught, 1 one was
not, 2 the request was wrong, or a text to be replaced no longer stands in its file exactly once (mend tests/support/faults/).
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.faults import FAULTS, Fault  # noqa: E402

NOT_CAUGHT = "NOT CAUGHT"
UNSOUND = "fails without the fault too: "
HANGS = ("--timeout", "300"), ("--timeout", "1800")
"""Seconds for a fast and for a slow test: a fault may make one wait for ever, and is then caught by the clock."""
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+\.py\S*(?:::.*?)?)(?: - .*)?$", re.MULTILINE)
SOME_FAILED, INTERRUPTED = 1, 2
"""Exit codes of pytest; a fault that breaks an import interrupts the collection."""


class PlantingError(Exception):
    """The request, a fault or a test that it names is not as it should be."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`caught_by` is the test that failed, or `NOT_CAUGHT`; `seconds` are those until it did."""

    fault: str
    file: str
    caught_by: str
    seconds: float

    @property
    def caught(self) -> bool:
        return self.caught_by != NOT_CAUGHT and not self.caught_by.startswith(UNSOUND)


def faulty(fault: Fault, root: Path) -> str:
    """The file's text with the fault in it. Raises PlantingError if the text to replace is not there exactly once."""
    path = root / fault.path
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (count := text.count(fault.old)) != 1:
        raise PlantingError(
            f"{fault.name}: the text to replace stands {count} times in {fault.path}, not once: {fault.old!r}"
        )
    return text.replace(fault.old, fault.new)


@contextmanager
def planted(fault: Fault, copy: Path) -> Iterator[None]:
    path = copy / fault.path
    whole = path.read_text(encoding="utf-8")
    path.write_text(faulty(fault, copy), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(whole, encoding="utf-8")


def copy_tree(folder: Path) -> Path:
    """The tree as it stands, with what is not committed yet and without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():  # one that was removed is still listed
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def run_tests(copy: Path, words: Sequence[str], *, slow: bool) -> list[str]:
    """The tests that failed; the first alone, unless `words` say otherwise. Raises PlantingError if pytest found none to run."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-rfE", "-p", "no:cacheprovider", *HANGS[slow]]
    # Whatever else the project passes by default (other processes, random order) would only take time here.
    command += ["-o", "addopts=--import-mode=importlib --strict-markers", *words]
    # Without bytecode: two texts of one length, written in one second, would share it.
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "1000"}
    pytest = subprocess.Popen(
        command,
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = pytest.communicate()
    finally:
        with suppress(ProcessLookupError):  # what a test that hung has left
            os.killpg(pytest.pid, signal.SIGKILL)
    if pytest.returncode == 0:
        return []
    found = FAILED.findall(printed)
    if pytest.returncode not in (SOME_FAILED, INTERRUPTED) or not found:
        raise PlantingError(f"pytest {' '.join(words)} ended with code {pytest.returncode}:\n{printed[-2000:]}")
    return found


def examine(fault: Fault, copy: Path, *, whole: bool) -> Verdict:
    """Run the fault's own tests, then, if they pass and it is asked for, all but the long ones."""
    began = time.monotonic()
    with planted(fault, copy):
        failed = run_tests(copy, ["-x", *fault.tests], slow=fault.slow)
        if not failed and whole:
            failed = run_tests(copy, ["-x", "-m", "not long"], slow=True)
    return Verdict(fault.name, fault.path, failed[0] if failed else NOT_CAUGHT, round(time.monotonic() - began, 1))


def without_faults(verdicts: Sequence[Verdict], copy: Path) -> list[Verdict]:
    """Run once more, without any fault, what failed: a test that fails anyhow has caught nothing."""
    tests = sorted({_function(one.caught_by) for one in verdicts if one.caught})
    failed = {_function(test) for test in run_tests(copy, tests, slow=True)} if tests else set()
    return [replace(one, caught_by=UNSOUND * (_function(one.caught_by) in failed) + one.caught_by) for one in verdicts]


def _function(test: str) -> str:
    """Without its parameters, which may hold anything."""
    return test.partition("[")[0]


def examine_all(faults: Sequence[Fault], jobs: int, *, whole: bool) -> list[Verdict]:
    for fault in faults:  # all, before hours of tests
        faulty(fault, ROOT)
    with tempfile.TemporaryDirectory(prefix="planted-") as folder, ThreadPoolExecutor(jobs) as pool:
        copies = [copy_tree(Path(folder, str(number))) for number in range(jobs)]
        free: SimpleQueue[Path] = SimpleQueue()
        for copy in copies:
            free.put(copy)

        def with_a_copy(fault: Fault) -> Verdict:
            copy = free.get()
            try:
                verdict = examine(fault, copy, whole=whole)
            except PlantingError as error:  # one that cannot be examined must not cost the hours of the others
                verdict = Verdict(fault.name, fault.path, UNSOUND + " ".join(str(error).split())[:200], 0)
            finally:
                free.put(copy)
            print(f"{verdict.seconds:7.1f} s  {verdict.fault}: {verdict.caught_by}", file=sys.stderr, flush=True)
            return verdict

        verdicts = list(pool.map(with_a_copy, faults))
        return without_faults(verdicts, copies[0])


def table(verdicts: Sequence[Verdict]) -> str:
    rows = [f"| {one.fault} | `{one.file}` | {one.caught_by} | {one.seconds:.1f} |" for one in verdicts]
    return "\n".join(["| fault | file | caught by | seconds |", "|---|---|---|---|", *rows])


def chosen(names: Sequence[str], *, fast: bool) -> list[Fault]:
    """Raises PlantingError for a name that no fault has."""
    if unknown := set(names) - {fault.name for fault in FAULTS}:
        raise PlantingError(f"no fault is called {', '.join(sorted(unknown))}; --list names all")
    return [fault for fault in FAULTS if (not names or fault.name in names) and not (fast and fault.slow)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="plant these alone")
    parser.add_argument("--fast", action="store_true", help="leave out those that only a slow test catches")
    parser.add_argument("--list", action="store_true", help="name the faults, and plant none")
    parser.add_argument("--jobs", type=int, default=1, help="copies of the tree that are tested at the same time")
    parser.add_argument(
        "--whole", action="store_true", help="where the fault's own tests pass, run all but the long ones"
    )
    parser.add_argument(
        "--output", type=Path, help="folder for the table, as planted_faults.md and planted_faults.json"
    )
    options = parser.parse_args()
    # What a shell starts in its background ignores Ctrl-C, and so would every test that sends it to a process of its own.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        faults = chosen(options.only, fast=options.fast)
        if options.list:
            print("\n".join(f"{fault.name:<48} {'slow' if fault.slow else '':<5} {fault.path}" for fault in faults))
            return 0
        verdicts = examine_all(faults, max(1, options.jobs), whole=options.whole)
    except PlantingError as error:
        print(f"plant_faults: {error}", file=sys.stderr)
        return 2
    print(table(verdicts))
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "planted_faults.md").write_text(table(verdicts) + "\n", encoding="utf-8")
        rows = [asdict(one) | {"caught": one.caught} for one in verdicts]
        (options.output / "planted_faults.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    lost = sum(not one.caught for one in verdicts)
    print(f"{len(verdicts) - lost} of {len(verdicts)} faults were caught", file=sys.stderr)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())

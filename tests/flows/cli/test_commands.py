"""The command line: what it offers, how it answers, and how a wrong request ends."""

import errno
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from typer.main import get_command
from typer.testing import CliRunner

from data_specs.stage import STAGES
from flows.cli.app import app, main
from flows.runs import recipes
from support.command_line import CommandLine

ROOT = Path(__file__).parents[3]


def commands(group: click.Command, *words: str) -> Iterator[tuple[str, ...]]:
    for name, command in getattr(group, "commands", {}).items():
        yield (*words, name)
        yield from commands(command, *words, name)


ALL = sorted(commands(get_command(app)))


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_says_what_it_does(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "120"})
    assert shown.exit_code == 0 and "Usage" in shown.stdout
    assert "--json" in shown.stdout or words in [("plan",), ("schema",), ("ui",), ("watch",)]


def test_the_commands_are_those_of_the_documentation() -> None:
    assert {" ".join(words) for words in ALL} == {
        *("run", "reproduce", "recipes", "schema", "plan", "plan concepts", "plan captions"),
        *("status", "show", "trace", "coverage", "quality", "verify", "site"),
        *("redraw", "list-images", "rebuild", "export", "ui", "deploy", "watch"),
    }


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_an_example_in_a_help_is_a_command(words: tuple[str, ...]) -> None:
    """As far as its words go: nothing is run."""
    command = get_command(app)
    for word in words:
        command = command.commands[word]
    for paragraph in (command.help or "").split("\n\n"):
        for example in paragraph.removeprefix("Example: ").split(", or ") if "Example: " in paragraph else ():
            program, *arguments = example.split()
            assert program == "synclr" and tuple(arguments[: len(words)]) == words
            command.make_context(words[-1], arguments[len(words) :])


def test_recipes_and_schema_are_json_for_programs() -> None:
    listed = json.loads(CliRunner().invoke(app, ["recipes", "--json"]).stdout)
    assert set(listed) == set(recipes.names()) and all(listed.values())
    assert "captions" in json.loads(CliRunner().invoke(app, ["schema"]).stdout)["properties"]


def test_a_root_without_runs_has_none_and_nothing_is_wrong_there(tmp_path: Path) -> None:
    words = ["--root", str(tmp_path), "--json"]
    assert json.loads(CliRunner().invoke(app, ["status", *words]).stdout) == {"runs": []}
    assert json.loads(CliRunner().invoke(app, ["verify", *words]).stdout) == {"shards": {}, "faults": []}
    assert "no runs" in CliRunner().invoke(app, ["status", "--root", str(tmp_path)]).stdout


@pytest.mark.parametrize(("words", "variable"), [(["--root=~/root"], ""), ([], "~/root")])
def test_a_root_at_home_is_looked_for_there(
    words: list[str], variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    environment = {"SYNCLR_ROOT": variable} if variable else {}
    shown = CliRunner().invoke(app, ["status", *words], env=environment)
    assert f"no runs under '{tmp_path}/root'" in shown.stdout and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "x", "/data/a.tar"), "No space left on device: /data/a.tar; make space"),
        (OSError(errno.EMFILE, "x"), "Too many open files"),
        (MemoryError("12 GB"), "memory ran out (12 GB)"),
    ],
)
def test_what_a_machine_does_is_one_line_and_exit_1(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = exit_code_of_recipes_that_raise(error, monkeypatch)
    printed = capsys.readouterr().err
    assert code == 1 and said in printed and printed.count("\n") == 1


def exit_code(words: Iterable[str], monkeypatch: pytest.MonkeyPatch) -> object:
    """Of the program, run in this process."""
    monkeypatch.setattr(sys, "argv", ["synclr", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def exit_code_of_recipes_that_raise(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> object:
    def failing() -> None:
        raise error

    monkeypatch.setattr(recipes, "names", failing)
    return exit_code(["recipes"], monkeypatch)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run", "Missing argument"),
        ("run nothing", "no recipe or file"),
        ("run tiny --set captions.totl=3", "did you mean 'captions.total'"),
        ("run tiny --set captions.total=0", "greater than or equal to 1"),
        ("run tiny --set captions.strategies={concept:0.5}", "strategies"),
        ("run tiny --set concepts.sources=[{use: file, path: /nowhere.txt}]", "no file '/nowhere.txt'"),
        ("run tiny --set concepts.sources=[{use: file, path: EMPTY}]", "is empty"),
        ("run tiny --set images.model=/nowhere", "no folder '/nowhere'"),
        ("run tiny --set images.model=some/model", "revision"),
        ("run tiny --root /proc/nowhere", "cannot write to root"),
        ("run tiny --name a/b", "letters, digits"),
        ("run tiny --until lunch", "no stage"),
        ("show nothing-here", "nothing-here"),
        ("status nobody", "no run 'nobody'"),
        ("plan captions nothing", "no recipe or file"),
        ("plan concepts tiny --set captions.totl=3", "did you mean 'captions.total'"),
        ("redraw", "either a KEY or --missing"),
        ("redraw --missing tiny --name tiny", "leave out --name"),
        ("status --wrong", "see --help"),
        ("export", "Missing"),
        ("ui --port 99999", "'--port': Input should be less than or equal to 65535 (given: '99999'); see --help"),
        ("ui --port 0", "'--port': Input should be greater than or equal to 1 (given: '0')"),
        ("ui --port http", "(given: 'http'); see --help"),
        ("show images-000000 --head -1", "'--head': Input should be greater than or equal to 0 (given: '-1')"),
        ("deploy --time-zone Berlin", "no IANA time zone; write one such as Europe/Berlin"),
        ("run ./my%20recipe.v2.yaml", "named as its recipe, 'my recipe.v2'"),
        ("run ./my%20recipe.v2.yaml", "name the run with --name my-recipe-v2"),
        ("run tiny --name a/b", "name 'a/b': use letters"),
        ("run tiny --name tiny%0a", "name the run with --name tiny"),
        (f"run {'x' * 300}", "there is no recipe or file"),
        ("wrong", "wrong"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    words: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").write_text("")
    root = tmp_path / "root"
    monkeypatch.setenv("SYNCLR_ROOT", str(root))
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.chdir(tmp_path)
    Path("my recipe.v2.yaml").write_text("extends: tiny\n")
    asked = map(unquote, arguments(words.replace("EMPTY", str(tmp_path / "empty.txt"))))
    code = exit_code(asked, monkeypatch)
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    assert printed.err.startswith("synclr: ") and printed.err.count("\n") == 1 and message in printed.err
    assert not any((root / stage).exists() for stage in STAGES), "before any work"


def arguments(words: str) -> list[str]:
    """Split at spaces, but for those in brackets."""
    return re.split(r" (?![^\[]*\])", words)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["run", "tiny", "--set", "captions.totl=3"], "did you mean"), (["status", "nobody"], "no run")],
)
def test_a_wrong_request_to_the_program_itself_is_one_line_too(words: list[str], message: str, tmp_path: Path) -> None:
    said = CommandLine(tmp_path / "root", tmp_path / "prefect")(*words, code=2)
    assert message in said and said.count("\n") == 1 and "Traceback" not in said


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = exit_code_of_recipes_that_raise(KeyboardInterrupt(), monkeypatch)
    assert code == 130 and "the same command goes on" in capsys.readouterr().err


def test_it_starts_as_a_module_too() -> None:
    done = subprocess.run([sys.executable, "-m", "flows.cli", "recipes", "--json"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0 and "tiny" in json.loads(done.stdout)

"""Assemble the commands of `synclr`, and turn what went wrong into one line and an exit code.

Exit codes: 0 done, 1 failed (sealed shards stay; the same command goes on), 2 the request was wrong, 130 Ctrl-C, 143 SIGTERM,
129 SIGHUP.
Commands import heavy libraries inside their functions, so that `status` answers at once.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import typer

from data_specs.errors import SpecError
from flows.cli import (
    inspect_commands,
    plan_commands,
    recipe_commands,
    repair_commands,
    run_commands,
    server_commands,
    share_commands,
    site_commands,
)
from flows.cli.stopping import stopped_by_signals
from flows.server.home import settle_home
from flows.server.network import reach_loopback
from flows.server.plain_errors import explained

WRONG_REQUEST = 2
INTERRUPTED = 130
Commands = Mapping[str, Callable[..., None]]
COMMANDS: Mapping[str, Commands] = {
    "Run": {
        "run": run_commands.run_recipe,
        "reproduce": run_commands.reproduce_table,
        "recipes": recipe_commands.list_recipes,
        "schema": recipe_commands.write_schema,
    },
    "Inspect": {
        "status": inspect_commands.show_status,
        "show": inspect_commands.show_record,
        "trace": inspect_commands.trace_sample,
        "coverage": inspect_commands.show_coverage,
        "quality": inspect_commands.show_quality,
        "verify": inspect_commands.verify_runs,
        "site": site_commands.open_site,
    },
    "Repair and share": {
        "redraw": repair_commands.redraw_images,
        "list-images": share_commands.list_images,
        "rebuild": share_commands.rebuild_images,
        "export": share_commands.export_model,
    },
    "Prefect server": {
        "ui": server_commands.start_ui,
        "deploy": server_commands.register_deployments,
        "watch": server_commands.watch_runs,
    },
}
PLANNING: Commands = {
    "concepts": plan_commands.preview_concepts,
    "captions": plan_commands.preview_captions,
}

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # which joins the lines of a paragraph
    help="Learn visual representations from synthetic captions and images: concepts -> captions -> images -> encoder "
    "-> embeddings -> scores. Start with `synclr run tiny`.",
    epilog="Exit codes: 0 done, 1 failed, 2 the request was wrong, 130 stopped by Ctrl-C (143 by SIGTERM, 129 "
    "by SIGHUP). After all but 0 and 2 the same command goes on with what is sealed.",
)
planning = typer.Typer(no_args_is_help=True, help="Preview what a recipe would make, without any model.")

for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)
for name, command in PLANNING.items():
    planning.command(name)(command)
app.add_typer(planning, name="plan", rich_help_panel="Run")


def main() -> None:
    """Run one command; a wrong request ends with one clear line on stderr, never with a traceback."""
    with stopped_by_signals() as stopping:
        try:
            _require_text(sys.argv[1:])
            for line in [*settle_home(), *reach_loopback()]:
                _say(line)
            code = app(standalone_mode=False)  # Typer hands an Exit back as its code, and Ctrl-C as 130
        except (typer.Abort, KeyboardInterrupt):
            code = INTERRUPTED
        except BaseException as error:
            if not stopping.received:
                _exit_for(error)
                raise
            code = INTERRUPTED  # whatever was raised while it was being stopped
        if code == INTERRUPTED:
            _exit_with(stopping.line, stopping.code)
        raise SystemExit(code or 0)


def _require_text(words: Sequence[str]) -> None:
    """Raises SpecError for bytes that are no text: neither JSON nor a table could hold them."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise SpecError(f"{ascii(word)} on the command line is no UTF-8 text") from None


def _exit_for(error: BaseException) -> None:
    """Exit with the line and the code of an error that has some."""
    if isinstance(error, SpecError):
        _exit_with(error, WRONG_REQUEST)
    if type(error).__module__.startswith(("click", "typer")):
        _exit_for_usage(error)
    if line := explained(error):
        _exit_with(line, 1)


def _exit_for_usage(error: Any) -> None:
    """Exit as Click asks: with its message for an unknown word, silently where it only ends (help was printed)."""
    if hasattr(error, "format_message"):
        # Where the words are pydantic's, the value is not among them.
        faults: list[Any] = getattr(error.__cause__, "errors", list)()
        given = f" (given: {faults[0]['input']!r})" if faults else ""
        _exit_with(f"{error.format_message().rstrip('.')}{given}; see --help", WRONG_REQUEST)
    if hasattr(error, "exit_code"):
        raise SystemExit(error.exit_code)


def _exit_with(message: object, code: int) -> None:
    _say(message)
    raise SystemExit(code)


def _say(message: object) -> None:
    with suppress(OSError):  # its terminal may be gone
        print(f"synclr: {message}", file=sys.stderr, flush=True)

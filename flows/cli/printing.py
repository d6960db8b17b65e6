"""Print results on stdout: as JSON for programs, as lines and tables for people."""

import json
import sys
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

out = Console(markup=False, emoji=False)  # texts are data: "[red]" in a caption is a word, ":dog:" too


def print_result(value: Any, as_json: bool, for_people: Callable[[], None]) -> None:
    """Print `value` as JSON, or call `for_people` to print it."""
    if as_json:
        print_json(value)
    else:
        for_people()


def print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)  # piece by piece: a shard of concepts may be 100 MB
    print(flush=True)


def print_line(text: str, style: str | None = None) -> None:
    """Print a line as it is: never wrapped, so that paths and keys can be copied."""
    out.print(text, style=style, soft_wrap=True, highlight=False)


def print_table(table: Table) -> None:
    out.print(table)

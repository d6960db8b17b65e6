"""Define the arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from tasks import storage


def at_home(path: Path | None) -> Path | None:
    """A file to write: of `--output=~/sheet.png` no shell expands the `~`."""
    return path and storage.local_path(str(path))


RecipeName = Annotated[str, typer.Argument(help="name of a recipe (see `synclr recipes`), or path of a YAML file")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="STAGE.SETTING=VALUE",
        help="override a setting of the recipe, such as captions.total=1024; may be repeated",
    ),
]
Root = Annotated[
    str,
    typer.Option(
        envvar="SYNCLR_ROOT",
        callback=storage.expanded,
        help="folder or fsspec URL (s3://...) under which all outputs lie",
    ),
]
RunName = Annotated[str, typer.Argument(help="name of a run")]
RunNameOrAll = Annotated[str | None, typer.Argument(help="name of a run; left out: whatever runs there are")]
OfRun = Annotated[str | None, typer.Option("--name", help="search this run only; left out: all runs under the root")]
SheetFile = Annotated[
    Path | None, typer.Option("--output", "-o", callback=at_home, help="write a contact sheet to this PNG file")
]
LISTED = 20
Head = Annotated[int, typer.Option(min=0, help="list at most so many; `--json` holds all")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON, and nothing else, on stdout")]

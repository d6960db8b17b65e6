"""Commands that repair runs: put damaged shards aside, or render images again."""

from pathlib import Path
from typing import Annotated

import typer

from data_specs.errors import SpecError
from data_specs.specs.run import WORKSPACE
from flows.cli import tables
from flows.cli.options import AsJson, OfRun, Root, RunName, at_home
from flows.cli.printing import print_result
from flows.cli.progress_display import progress_listener


def repair_run(
    name: RunName,
    shard: Annotated[
        str | None, typer.Option(metavar="SHARD", help="look at this shard alone, such as captions-000002")
    ] = None,
    root: Root = WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Put the damaged shards of a run aside, so that the next run makes them again. Nothing is deleted.

    A shard is damaged where `synclr verify` finds a fault, or where files of it are there without a manifest: all its files are
    moved to `damaged/` in the stage's folder, with the faults in words.

    Example: synclr repair tiny --shard captions-000002
    """
    from flows.repair.put_damaged_aside import put_damaged_aside

    repaired = put_damaged_aside(root, name, shard)
    print_result(repaired, as_json, lambda: tables.print_repaired(repaired))


def redraw_images(
    key: Annotated[
        str | None,
        typer.Argument(help="an image (CAPTION/COPY), a caption for all its images, or a shard such as images-000003"),
    ] = None,
    root: Root = WORKSPACE,
    name: OfRun = None,
    missing: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="instead of KEY: make this run's damaged or missing image shards again"),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=at_home, help="folder for the images of KEY")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Render images again from their records, and say whether they are bit-identical. What is sealed stays as it is.

    With `--missing RUN` it repairs: an image shard in which `synclr verify` finds a fault is moved to `damaged/` in the stage's
    folder, with the faults in words, and made again from its captions.

    Example: synclr redraw images-000003 --output redrawn, or synclr redraw --missing tiny
    """
    if (key is None) == (missing is None):
        raise SpecError("redraw takes either a KEY or --missing RUN")
    if missing is not None:
        if name or output:
            raise SpecError("--missing RUN works on the run's own shards: leave out --name and --output")
        from flows.repair.remake import remake_damaged

        with progress_listener(quiet=as_json) as listener:
            remade = remake_damaged(root, missing, listener)
        print_result(remade, as_json, lambda: tables.print_remade(missing, remade))
    else:
        from flows.repair.redraw import redraw

        redrawn = redraw(root, str(key), output, name)
        print_result(redrawn, as_json, lambda: tables.print_redrawn(redrawn))

"""Commands that run recipes: one recipe, or all of a paper's table."""

from typing import Annotated

import typer

from data_specs.errors import SpecError
from data_specs.specs.run import WORKSPACE
from data_specs.stage import STAGES
from flows.cli import tables
from flows.cli.options import AsJson, Overrides, RecipeName, Root
from flows.cli.printing import print_line, print_result
from flows.cli.progress_display import progress_listener
from flows.runs.recipes import read_overrides
from flows.runs.request import Request
from flows.runs.slices import Slice
from flows.server.settings import prepare


def run_recipe(
    recipe: RecipeName,
    set_: Overrides = None,
    root: Root = WORKSPACE,
    name: Annotated[str | None, typer.Option(help="name of the run; left out: the recipe's name")] = None,
    since: Annotated[
        str, typer.Option(metavar="STAGE", help="first stage to run; the stages before it must be sealed")
    ] = STAGES[0],
    until: Annotated[
        str, typer.Option(metavar="STAGE", help=f"last stage to run, one of {', '.join(STAGES)}")
    ] = STAGES[-1],
    grow: Annotated[
        int | None,
        typer.Option(min=0, help="add so many captions to those the run already has; 0 keeps its size"),
    ] = None,
    part: Annotated[
        Slice | None,
        typer.Option(
            "--slice",
            metavar="I/N",
            parser=Slice.parse,
            help="make every N-th shard of each stage, from the I-th on: processes 1/N to N/N, on hosts that share a root, make "
            "all; each waits for the others before the next stage",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a recipe, from concepts to scores and a report.

    Shards that are sealed are reused: the same command resumes a run that was stopped, and makes nothing when all is there.
    The recipe `tiny` takes about 15 minutes on 2 cores.

    A larger `captions.total` makes only the new shards. Any other setting makes its stage and those after it again, beside
    the old results.

    Example: synclr run tiny --set captions.total=1024
    """
    if part and grow is not None:
        raise SpecError(
            f"--grow {grow} would be added once by each slice: name the size itself, --set captions.total=N"
        )
    request = Request(recipe, name, root, since, until, grow, read_overrides(recipe, set_ or []))
    prepare()
    from flows.launch.run import run_request

    with progress_listener(quiet=as_json) as listener:
        summary = run_request(request, [listener], part)
    print_result(summary, as_json, lambda: tables.print_run_summary(summary))


def reproduce_table(
    name: Annotated[str | None, typer.Argument(help="name of the table; left out: list them")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="trainings of each encoder, for mean and deviation")] = 3,
    at_once: Annotated[
        int,
        typer.Option(min=1, max=64, help="runs beside each other, which share the cores; small encoders gain from it"),
    ] = 1,
    set_: Overrides = None,
    root: Root = WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Run the recipes that one of SynCLR's tables compares, and print the paper's figures beside those measured here.

    Variants with the same captions and images share them. Each training is a run with a report of its own; the same
    command goes on where it was stopped.

    Example: synclr reproduce granularity --repeats 1
    """
    prepare()
    from flows.launch.reproduce import names, read_reproduction, reproduce

    if name is None:
        known = [{"name": each} | read_reproduction(each).model_dump(include={"title", "source"}) for each in names()]
        listed = "\n".join(f"{one['name']:<12} {one['title']}: {one['source']}" for one in known)
        print_result({"reproductions": known}, as_json, lambda: print_line(listed))
        return
    overrides = read_overrides(read_reproduction(name).recipe, set_ or [])
    with progress_listener(quiet=as_json) as listener:
        reproduced = reproduce(name, root, repeats, overrides, at_once=at_once, emit=listener)
    print_result(reproduced, as_json, lambda: tables.print_reproduction(reproduced))

"""Commands that preview a recipe: its table of concepts and the captions that it would ask for. No model is needed."""

from typing import Annotated

import typer

from data_specs.specs.run import WORKSPACE
from flows.cli import tables
from flows.cli.options import AsJson, Overrides, RecipeName, Root
from flows.cli.printing import print_result
from flows.runs.recipes import read_overrides, resolve_recipe

LISTED_CAPTIONS = 20


def preview_concepts(
    recipe: RecipeName,
    set_: Overrides = None,
    head: Annotated[int, typer.Option(min=0, help="list at most so many names of each reason for rejection")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show the concepts that a recipe's lists make: shares by category, which names were merged or rejected, and why.

    `--json` holds every name.

    Example: synclr plan concepts tiny --head 5
    """
    from flows.inspect.plan_concepts import plan_concepts

    planned = plan_concepts(resolve_recipe(recipe, read_overrides(recipe, set_ or [])))
    print_result(planned, as_json, lambda: tables.print_concepts(planned, head))


def preview_captions(
    recipe: RecipeName,
    set_: Overrides = None,
    head: Annotated[
        int | None,
        typer.Option(min=0, help=f"list the first so many; left out: {LISTED_CAPTIONS}, or none with --summary"),
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="count them by kind, category and strategy, beside the recipe's shares")
    ] = False,
    count: Annotated[
        int | None, typer.Option(min=1, help="captions to count; left out: all of the recipe. Implies --summary")
    ] = None,
    root: Root = WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Show which concept, strategy, and background or relation each caption of a recipe would be written for.

    `--json` adds in-context examples, seeds and whole prompts.

    Example: synclr plan captions tiny --head 5, or synclr plan captions paper --count 100000
    """
    from flows.inspect.plan_captions import plan_captions

    spec = resolve_recipe(recipe, read_overrides(recipe, set_ or []))
    if summary or count is not None:
        planned = plan_captions(spec, head or 0, count or spec.captions.total, root)
    else:
        planned = plan_captions(spec, LISTED_CAPTIONS if head is None else head, 0, root)
    print_result(planned, as_json, lambda: tables.print_captions(planned))

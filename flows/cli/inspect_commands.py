"""Commands that read what a run has made, and change nothing of it."""

from pathlib import Path
from typing import Annotated

import typer

from data_specs.specs.run import WORKSPACE
from flows.cli import tables
from flows.cli.options import LISTED, AsJson, Head, OfRun, Root, RunName, RunNameOrAll, SheetFile, at_home
from flows.cli.printing import print_line, print_result


def show_status(name: RunNameOrAll = None, root: Root = WORKSPACE, as_json: AsJson = False) -> None:
    """Show how far each stage of a run is: shards made of those planned, rejects by reason, and what made it stale.

    Without a name: of the only run under the root, or a table of the runs there: state, size, first score, date.

    Example: synclr status tiny
    """
    from flows.inspect.runs import runs_under
    from flows.runs.plan import run_names
    from flows.runs.status import as_json as rows_as_json
    from flows.runs.status import status

    if name is None and len(run_names(root)) != 1:
        runs = runs_under(root)
        print_result({"runs": runs}, as_json, lambda: tables.print_runs(runs, root))
        return
    run = name or run_names(root)[0]
    rows = status(root, run)
    print_result(rows_as_json(rows), as_json, lambda: tables.print_status(run, rows))


def show_record(
    key: Annotated[
        str, typer.Argument(help="a concept, caption, image or checkpoint by its key, or a shard such as images-000003")
    ],
    root: Root = WORKSPACE,
    name: OfRun = None,
    output: SheetFile = None,
    head: Head = LISTED,
    as_json: AsJson = False,
) -> None:
    """Show the record of a concept, caption, image, checkpoint or shard, with its images as a contact sheet (PNG).

    Of a shard: its first records and rejects, a line each. `--json` holds every record, whole.

    Example: synclr show images-000000 --output sheet.png
    """
    from flows.cli.record_pages import print_record
    from flows.inspect.show import show

    found = show(root, key, output, name=name, head=None if as_json else head)
    print_result(found, as_json, lambda: print_record(found, head))


def trace_sample(
    key: Annotated[str, typer.Argument(help="key of an image or caption, as `synclr show` and the report name it")],
    root: Root = WORKSPACE,
    name: OfRun = None,
    as_json: AsJson = False,
) -> None:
    """Trace an image or caption back to its concept, prompt, models and seeds, and forward to the checkpoints that saw it.

    The keys stand in the report and in what `synclr show images-000000` prints.
    """
    from flows.inspect.trace import lines, trace

    traced = trace(root, key, name=name)
    print_result(traced, as_json, lambda: print_line("\n".join(lines(traced))))


def show_coverage(
    name: RunName,
    root: Root = WORKSPACE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", callback=at_home, help="write the table to this Parquet file too")
    ] = None,
    head: Head = LISTED,
    as_json: AsJson = False,
) -> None:
    """Count captions by concept and strategy: planned, asked for, kept, and left out of the images. The worst come first.

    Example: synclr coverage tiny --output coverage.parquet
    """
    from flows.inspect.coverage import coverage, write_parquet

    rows = coverage(root, name)
    if output:
        write_parquet(rows, output)
    print_result({"coverage": rows}, as_json, lambda: tables.print_coverage(rows, head))


def show_quality(
    name: RunName,
    root: Root = WORKSPACE,
    look_at: Annotated[
        int, typer.Option(min=0, help="open so many shards, to compare the images of a caption with each other")
    ] = 6,
    output: SheetFile = None,
    head: Head = LISTED,
    as_json: AsJson = False,
) -> None:
    """Measure a run's images shard by shard: unsafe and rejected ones, scores, how much images of one caption differ.

    Lists the best and the worst images; without a scorer, the captions whose images are most and least alike. Only sealed
    shards are read, so it also works while a run is under way.

    Example: synclr quality tiny --output sheet.png
    """
    from flows.inspect.quality import as_json as quality_as_json
    from flows.inspect.quality import quality, write_sheet

    found = quality(root, name, look_at)
    if output:
        write_sheet(found, output)
    measured = quality_as_json(found)
    print_result(measured, as_json, lambda: tables.print_quality(measured, head))


def verify_runs(
    name: RunNameOrAll = None, root: Root = WORKSPACE, head: Head = LISTED, as_json: AsJson = False
) -> None:
    """Read every sealed shard and check counts, digests, records and complete groups. Exit code 1 if anything is wrong.

    Without a name: of all runs under the root. `synclr repair RUN` puts what is damaged aside.

    Example: synclr verify tiny
    """
    from flows.inspect.verify import verify
    from flows.runs.plan import run_names

    results = {each: verify(root, each) for each in ([name] if name else run_names(root))}
    checked = {each: count for each, (count, _) in results.items()}
    faults = [fault for _, found in results.values() for fault in found]

    def print_checked() -> None:
        if not results:
            print_line(f"no runs under {root!r} yet")
        for each, (count, found) in results.items():
            print_line(f"{each}: {count} shards read, {len(found)} faults")
        for fault in faults[:head]:
            print_line(f"  {fault}")
        tables.print_rest(len(faults) - head, head)

    print_result({"shards": checked, "faults": faults}, as_json, print_checked)
    if faults:
        raise typer.Exit(1)

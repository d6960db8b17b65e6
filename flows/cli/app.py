"""The command line: words and options enter; work, tables or JSON, and an exit code leave.

Exit codes: 0 done, 1 failed (what is sealed stays; the same command goes on), 2 the request was wrong, 130 Ctrl-C.
Heavy libraries are imported inside the commands that need them, so that `status` answers at once.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Column, Table

from data_specs.errors import SpecError, SynclrError
from data_specs.run import ROOMS, WORKSPACE
from flows.runs import recipes as recipe_files
from flows.server import settings as prefect_environment

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Learn visual representations from synthetic captions and images: concepts -> captions -> images -> encoder "
    "-> embeddings -> scores. Start with `synclr run tiny`.",
    epilog="Exit codes: 0 done, 1 failed, 2 the request was wrong. What is sealed stays: the same command goes on.",
)
planning = typer.Typer(no_args_is_help=True, help="What a recipe would make, without any engine.")
app.add_typer(planning, name="plan")
out = Console()

Root = Annotated[
    str,
    typer.Option(envvar="SYNCLR_ROOT", help="folder or fsspec URL (s3://...) under which all outputs lie"),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON, and nothing else, on stdout")]
Name = Annotated[str | None, typer.Argument(help="name of a run; left out: the only one, or a list")]
OfRun = Annotated[str | None, typer.Option("--name", help="look in this run only")]
EncoderFormat = Literal["hugging-face", "onnx"]
INTERRUPTED = 130


def main() -> None:
    """The console script: one clear line for what went wrong, never a traceback for a wrong request."""
    try:
        code = app(standalone_mode=False)  # Typer hands an Exit back as its code, and Ctrl-C as 130
    except SpecError as error:
        _end(error, 2)
    except SynclrError as error:
        _end(error, 1)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")):
            _usage(error)
        raise
    if code == INTERRUPTED:
        _end("stopped; what is sealed stays, the same command goes on", INTERRUPTED)
    raise SystemExit(code or 0)


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="a recipe's name (see `synclr recipes`) or a YAML file")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="room.knob=value, as often as needed: captions.total=1024")
    ] = None,
    root: Root = WORKSPACE,
    name: Annotated[str | None, typer.Option(help="name of the run; left out: the recipe's")] = None,
    since: Annotated[str, typer.Option(help="first room to walk; the rooms before must be sealed")] = ROOMS[0],
    until: Annotated[str, typer.Option(help=f"last room to walk: {', '.join(ROOMS)}")] = ROOMS[-1],
    grow: Annotated[
        int | None, typer.Option(min=0, help="captions to add to what the run has; 0 keeps its size")
    ] = None,
    as_json: Json = False,
) -> None:
    """Walk a recipe through the rooms; what is sealed already is taken over, and a stopped run goes on.

    `synclr run tiny` takes about 15 minutes on 2 cores. `--set captions.total=1024` grows it: only new shards are made.
    """
    prefect_environment.prepare()
    from flows.execution.run import walk
    from flows.runs.request import Request

    turned = recipe_files.knobs(recipe, set_ or [])
    summary = walk(Request(recipe, name, root, since, until, grow, turned), quiet=as_json)
    _print(summary, as_json, lambda: _show_summary(summary))


@planning.command("concepts")
def plan_concepts(
    recipe: Annotated[str, typer.Argument(help="a recipe's name (see `synclr recipes`) or a YAML file")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="room.knob=value, as often as needed")] = None,
    head: Annotated[int, typer.Option(min=0, help="list so many of what merged, and of each reason to refuse")] = 20,
    as_json: Json = False,
) -> None:
    """The table that the recipe's lists make: shares by category, what merged with what and why; `--json` has every name."""
    from flows.inspect.plan_concepts import plan_concepts as plan

    planned = plan(recipe_files.resolve(recipe, recipe_files.knobs(recipe, set_ or [])))
    _print(planned, as_json, lambda: _show_concepts(planned, head))


@planning.command("captions")
def plan_captions(
    recipe: Annotated[str, typer.Argument(help="a recipe's name (see `synclr recipes`) or a YAML file")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="room.knob=value, as often as needed")] = None,
    head: Annotated[
        int | None, typer.Option(min=0, help="list the first so many captions [20, or none with --summary]")
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="count them by kind, category and strategy")] = False,
    count: Annotated[
        int | None, typer.Option(min=1, help="so many are counted [all that the recipe makes]; implies --summary")
    ] = None,
    root: Root = WORKSPACE,
    as_json: Json = False,
) -> None:
    """Which concept, strategy, background or relation each caption gets; `--json` adds examples, seeds and prompts."""
    from flows.inspect.plan_captions import plan_captions as plan

    spec = recipe_files.resolve(recipe, recipe_files.knobs(recipe, set_ or []))
    counting = summary or count is not None
    planned = plan(
        spec, (0 if counting else 20) if head is None else head, (count or spec.captions.total) if counting else 0, root
    )

    def tables() -> None:
        if note := planned.get("note"):
            out.print(note, style="yellow", markup=False)
        if counting:
            _show_shares(planned)
        if listed := planned.get("plans"):
            shown = Table("shard", "slot", "kind", "strategy", "is asked for", "category", box=None, pad_edge=False)
            for row in listed:
                asked = row["prompt"].rsplit("\n", 1)[-1]
                shown.add_row(str(row["shard"]), str(row["slot"]), row["kind"], row["strategy"], asked, row["category"])
            out.print(shown)

    _print(planned, as_json, tables)


@app.command()
def status(name: Name = None, root: Root = WORKSPACE, as_json: Json = False) -> None:
    """Each room of a run: shards made of those planned, rejects by reason, and which field made it stale."""
    from flows.runs.status import as_json as rows_as_json
    from flows.runs.status import runs
    from flows.runs.status import status as read_status
    from flows.runs.throughput import busy, figure

    if name is None and len(found := runs(root)) != 1:
        _print({"runs": found}, as_json, lambda: out.print("\n".join(found) or f"no runs under {root!r} yet"))
        return
    rows = read_status(root, name or runs(root)[0])

    def table() -> None:
        lineage = Column("lineage", no_wrap=True)
        shown = Table(
            "room", lineage, "shards", "accepted", "rejected", "made in", "a second", box=None, pad_edge=False
        )
        for row in rows:
            told = [
                row.room,
                row.lineage,
                f"{row.made}/{row.planned}",
                str(row.accepted),
                str(sum(row.rejected.values())),
            ]
            told.append("" if row.seconds is None else f"{row.seconds:.1f} s")
            rate = "" if row.per_second is None else figure(row.per_second)
            shown.add_row(*told, ", ".join(filter(None, (rate, busy(row.engine_busy)))))
        out.print(shown)
        for row in rows:
            if row.rejected:
                out.print(f"{row.room} rejected: " + ", ".join(f"{why} {count}" for why, count in row.rejected.items()))
            if row.stale:
                out.print(f"{row.room} is stale because of {', '.join(row.stale)}")

    _print(rows_as_json(rows), as_json, table)


@app.command()
def show(
    key: Annotated[str, typer.Argument(help="a concept's, caption's or image's key, or a shard such as images-000003")],
    root: Root = WORKSPACE,
    name: OfRun = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="where the contact sheet (PNG) goes")] = None,
    as_json: Json = False,
) -> None:
    """A sample's record; its pictures as a contact sheet."""
    from flows.inspect.show import show as read_record

    record = read_record(root, key, output, name=name)
    _print(record, as_json, lambda: out.print_json(json.dumps(record)))


@app.command()
def trace(
    key: Annotated[str, typer.Argument(help="an image's or caption's key, as `show` and the report name it")],
    root: Root = WORKSPACE,
    name: OfRun = None,
    as_json: Json = False,
) -> None:
    """From a picture or caption back to concept, prompt, models and seeds, and forward to checkpoints that saw it."""
    from flows.inspect.trace import lines
    from flows.inspect.trace import trace as follow

    traced = follow(root, key, name=name)
    _print(traced, as_json, lambda: out.print("\n".join(lines(traced)), markup=False, soft_wrap=True))


@app.command()
def coverage(
    name: Annotated[str, typer.Argument(help="name of a run")],
    root: Root = WORKSPACE,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write it to this Parquet file too")] = None,
    as_json: Json = False,
) -> None:
    """Captions planned, asked for, kept and left undrawn, concept by concept and strategy by strategy; the worst served first."""
    from flows.inspect.coverage import coverage as read_coverage
    from flows.inspect.coverage import write_parquet

    rows = read_coverage(root, name)
    if output:
        write_parquet(rows, output)

    def table() -> None:
        counts = ("planned", "asked", "kept", "left_out")
        shown = Table("concept", "kind", "weight", "strategy", *counts, box=None, pad_edge=False)
        for row in sorted(rows, key=lambda row: row["kept"] / row["planned"]):
            numbers = [str(row[column]) for column in counts]
            shown.add_row(row["concept"], row["kind"], f"{row['weight']:.2%}", row["strategy"], *numbers)
        out.print(shown, markup=False)

    _print({"coverage": rows}, as_json, table)


@app.command()
def quality(
    name: Annotated[str, typer.Argument(help="name of a run")],
    root: Root = WORKSPACE,
    look_at: Annotated[
        int, typer.Option(min=0, help="shards whose pictures are compared with their siblings; their tars are opened")
    ] = 6,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the best and the worst as a contact sheet (PNG)")
    ] = None,
    as_json: Json = False,
) -> None:
    """How good the pictures of a run are, shard by shard: redraws, scores, how much siblings differ; the best and the worst.

    Read from the sealed shards, also while a run walks. Without a scorer: those that are most and least like their siblings.
    """
    from flows.inspect.quality import as_json as told
    from flows.inspect.quality import quality as look
    from flows.inspect.quality import write_sheet

    found = look(root, name, look_at)
    if output:
        write_sheet(found, output)
    _print(told(found), as_json, lambda: _show_quality(told(found)))


@app.command()
def verify(name: Name = None, root: Root = WORKSPACE, as_json: Json = False) -> None:
    """Read every sealed shard of a run: counts, digests, records, complete groups. Exit code 1 if anything is wrong."""
    from flows.inspect.verify import verify as read_all
    from flows.runs.status import runs

    names = [name] if name else runs(root)
    results = {each: read_all(root, each) for each in names}
    faults = [fault for _, found in results.values() for fault in found]
    checked = {each: count for each, (count, _) in results.items()}

    def lines() -> None:
        for each, count in checked.items():
            out.print(f"{each}: {count} shards read, {len(results[each][1])} faults")
        for fault in faults:
            out.print(f"  {fault}", markup=False, soft_wrap=True)

    _print({"shards": checked, "faults": faults}, as_json, lines)
    if faults:
        raise typer.Exit(1)


@app.command()
def reproduce(
    name: Annotated[str | None, typer.Argument(help="which of a paper's tables; left out: a list")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="trainings of each encoder, for the spread")] = 3,
    at_once: Annotated[
        int,
        typer.Option(min=1, max=64, help="walks beside each other, which share the cores: small encoders gain"),
    ] = 1,
    set_: Annotated[list[str] | None, typer.Option("--set", help="room.knob=value for all rows")] = None,
    root: Root = WORKSPACE,
    as_json: Json = False,
) -> None:
    """Walk the recipes of one of SynCLR's tables and print its figures beside ours.

    Captions and pictures that rows have in common are made once. Each row is a run with a report of its own; the same
    command goes on where it was stopped.
    """
    prefect_environment.prepare()
    from flows.execution.reproduce import names, read_reproduction
    from flows.execution.reproduce import reproduce as walk_all

    if name is None:
        known = [{"name": each} | read_reproduction(each).model_dump(include={"title", "source"}) for each in names()]
        listed = "\n".join(f"{one['name']:<12} {one['title']}: {one['source']}" for one in known)
        _print({"reproductions": known}, as_json, lambda: out.print(listed))
        return
    turned = recipe_files.knobs(read_reproduction(name).recipe, set_ or [])
    told = walk_all(name, root, repeats, turned, at_once=at_once, quiet=as_json)
    _print(told, as_json, lambda: _show_reproduction(told))


@app.command()
def export(
    run: Annotated[str, typer.Argument(help="name of a run whose encoder is trained")],
    output: Annotated[Path, typer.Option("--output", "-o", help="a new folder")],
    form: Annotated[
        EncoderFormat,
        typer.Option("--format", help="hugging-face: a ViT for transformers; onnx: one file for any runtime"),
    ] = "hugging-face",
    root: Root = WORKSPACE,
    as_json: Json = False,
) -> None:
    """Write the trained encoder as files that other programs read; pixels go in as `preprocessor_config.json` says.

    transformers' ViT has a patch stem alone: train with `encoder.stem=patch` for it. ONNX takes any.
    """
    from flows.inspect.export_encoder import export_encoder

    told = export_encoder(root, run, form, output)
    _print(told, as_json, lambda: out.print(f"{', '.join(told['files'])} in {told['folder']}"))


@app.command()
def redraw(
    key: Annotated[
        str | None, typer.Argument(help="<caption id>/<copy>, a caption's key, or a shard such as images-000003")
    ] = None,
    root: Root = WORKSPACE,
    name: OfRun = None,
    missing: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="instead of KEY: make this run's damaged or missing image shards again"),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="folder for what KEY names")] = None,
    as_json: Json = False,
) -> None:
    """Draw one picture, a caption's group or a shard again from its records, and say whether it is bit-identical.

    What is sealed is never written over. `--missing RUN` repairs instead: an image shard in which `verify` finds a fault is
    put aside (`damaged/` in the room's folder, with the faults in words) and made again from its captions.
    """
    from flows.repair.redraw import redraw as draw_again
    from flows.repair.remake import repair

    if (key is None) == (missing is None):
        raise SpecError("redraw takes either a KEY or --missing RUN")
    if missing is not None:
        if name or output:
            raise SpecError("--missing RUN works on the run's own shards: leave out --name and --output")
        mended = repair(root, missing)
        _print(mended, as_json, lambda: _show_repair(missing, mended))
    else:
        drawn = draw_again(root, str(key), output, name)
        _print(drawn, as_json, lambda: _show_redrawn(drawn))


@app.command()
def list_pictures(
    name: Annotated[str, typer.Argument(help="name of a run")],
    file: Annotated[Path, typer.Argument(help="where the list goes: pictures.jsonl.gz")],
    root: Root = WORKSPACE,
    as_json: Json = False,
) -> None:
    """Publish a run's pictures without a pixel: captions, seeds, model revisions, settings and digests in one file."""
    from flows.inspect.image_lists import write_list

    told = write_list(root, name, file)
    words = (
        f"{told['pictures']} pictures of {told['shards']} shards, lineage {told['lineage']}: {told['bytes']:,} bytes"
    )
    _print(told, as_json, lambda: out.print(f"{words} in {told['file']}", markup=False, soft_wrap=True))


@app.command()
def rebuild(
    file: Annotated[Path, typer.Argument(help="a list that `synclr list-pictures` wrote")],
    root: Root = WORKSPACE,
    as_json: Json = False,
) -> None:
    """Draw the image shards of a list of pictures again, and say how many are bit-identical; what is there stays."""
    from flows.inspect.image_lists import rebuild as rebuild_list

    told = rebuild_list(root, file)

    def lines() -> None:
        out.print(f"{told['made']} of {told['shards']} shards made, in {told['folder']}", markup=False, soft_wrap=True)
        out.print(
            f"bit-identical: {told['identical']} of {told['shards']} shards, {told['same']} of {told['pictures']} pictures"
        )
        if told["different"]:
            out.print(f"other bytes: {', '.join(told['different'])}", markup=False, soft_wrap=True)

    _print(told, as_json, lines)


@app.command()
def recipes(as_json: Json = False) -> None:
    """The recipes that ship here: what each makes, its command, hardware and models."""
    known = {name: recipe_files.header(name) for name in recipe_files.names()}

    def lines() -> None:
        for name, described in known.items():
            out.print(f"[bold]{name}[/bold]")
            out.print("\n".join(f"  {line}" for line in described), markup=False)

    _print(known, as_json, lines)


@app.command()
def schema() -> None:
    """JSON Schema of a recipe file; editors complete knobs by it (the recipes here name it in their first line)."""
    sys.stdout.write(json.dumps(recipe_files.schema(), indent=2) + "\n")


@app.command()
def ui(port: Annotated[int, typer.Option(help="port on 127.0.0.1")] = 4200, root: Root = WORKSPACE) -> None:
    """Prefect on loopback: server, worker and our deployments, for scheduling and watching walks. Ctrl-C stops all of it.

    Records lie in an SQLite file under PREFECT_HOME, or in PostgreSQL if PREFECT_API_DATABASE_CONNECTION_URL names one.
    """
    from flows.server.operate import operate

    operate(port, root)


@app.command()
def deploy(
    root: Root = WORKSPACE,
    pool: Annotated[
        str, typer.Option(help="work pool that runs the deployments; made (type process) if it is not there")
    ] = "synclr",
    slots: Annotated[int, typer.Option(min=1, help="rooms with an engine that may run at once, over all runs")] = 1,
    as_json: Json = False,
) -> None:
    """Register the whole walk, and every room on its own, with the Prefect server that PREFECT_API_URL names."""
    from flows.server.operate import reachable

    with reachable():
        from flows.server.deployments import deploy as register

        names = register(root, pool, slots)
    _print({"deployments": names, "pool": pool}, as_json, lambda: out.print("\n".join(names)))


def _print(value: Any, as_json: bool, for_people: Callable[[], None]) -> None:
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
    else:
        for_people()


def _show_concepts(planned: dict[str, Any], head: int) -> None:
    shown = Table("kind", "category", "names", "share", "with backgrounds", box=None, pad_edge=False)
    for row in planned["categories"]:
        counts = [str(row["names"]), f"{row['share']:.2%}", str(row["with_backgrounds"])]
        shown.add_row(row["kind"], row["category"], *counts)
    out.print(shown)
    if planned["to_write"]:
        out.print(f"backgrounds of {planned['to_write']} objects are to be written by an LLM")
    for reason, count in planned["rejected"].items():
        out.print(f"\n{reason}: {count}", style="bold")
        listed = [each for each in planned["rejects"] if each["reason"] == reason][:head]
        for each in listed:
            said = each["text"] if reason == "merged" else f"{each['text']!r} of {each['key']}"
            out.print(f"  {said}", markup=False, soft_wrap=True)
        if count > len(listed):
            out.print(f"  and {count - len(listed)} more: --head {count}, or --json")


def _show_shares(planned: dict[str, Any]) -> None:
    shown = Table("", "planned", "share", "the recipe's share", box=None, pad_edge=False)

    def add(label: str, count: float, mean: float) -> None:
        shown.add_row(label, str(count), f"{count / planned['planned']:.2%}", f"{mean / planned['planned']:.2%}")

    mean = planned["expected"]
    for kind, share in mean["kinds"].items():
        add(kind, planned["kinds"].get(kind, 0), share)
        for strategy, part in mean["strategies"][kind].items():
            add(f"  {strategy}", planned["strategies"].get(kind, {}).get(strategy, 0), part)
    for category, share in mean["categories"].items():
        add(f"category {category}", planned["categories"].get(category, 0), share)
    out.print(shown)


def _show_quality(told: dict[str, Any]) -> None:
    columns = ("captions", "pictures", "unsafe", "not kept", "rejected", "near-duplicates", "siblings apart", "others")
    shown = Table("shard", *columns, *(["fit"] if told["fit"] else []), box=None, pad_edge=False)
    for row in told["shards"]:
        cells = [str(row["captions"]), str(row["pictures"]), str(row["unsafe"])]
        for part in ("passed_over", "rejected"):
            cells.append(", ".join(f"{reason} {count}" for reason, count in row[part].items()))
        if (of := row["siblings"]) is None:
            cells += ["", "", ""]
        else:
            cells += [f"{of['near']} of {of['siblings']}", f"{of['within']:.3f}"]
            cells.append("" if of["between"] is None else f"{of['between']:.3f}")
        if told["fit"]:
            cells.append(f"{row['fit']['mean']:.3f}" if row["fit"] else "")
        shown.add_row(row["shard"], *cells)
    out.print(shown)
    if told["shards_read"] < told["shards_sealed"]:
        out.print(f"{told['shards_read']} of {told['shards_sealed']} sealed shards were read, spread over the run")
    listed = [(what, f"{one['fit']:.3f}", one) for what in ("best", "worst") for one in told[what]]
    listed += [
        (what, f"{one['distance']:.3f}", one) for what in ("alike", "unlike") if not told["fit"] for one in told[what]
    ]
    for what, value, one in listed:
        out.print(f"{what:<7} {value}  {one['key']}  {one['text']}", markup=False, soft_wrap=True, highlight=False)


def _show_summary(summary: dict[str, Any]) -> None:
    for room in summary["rooms"]:
        made = (
            f"made {room['made']} of {room['shards']} shards" if room["made"] else f"{room['shards']} shards, none made"
        )
        refused = f", {sum(room['rejected'].values())} rejected" if room["rejected"] else ""
        out.print(f"{room['room']:<10} {made}, {room['accepted']} accepted{refused}")
        for field in room["stale"]:
            out.print(f"           was stale: {field}", style="yellow", markup=False)
    for line in summary["scores"]:
        out.print(line, markup=False, soft_wrap=True)
    out.print(f"report     {summary['report']}", markup=False, soft_wrap=True)


def _show_reproduction(told: dict[str, Any]) -> None:
    """One column an encoder: six questions side by side do not fit a terminal, the encoders of a table do."""
    variants = told["variants"]
    shown = Table("", *(Column(row["name"], justify="right") for row in variants), box=None, pad_edge=False)
    for question in dict.fromkeys(question for row in variants for question in row["ours"]):  # not all read texts
        figures = [row["ours"].get(question) for row in variants]
        shown.add_row(question.replace("_", " "), *("" if figure is None else _percent(figure) for figure in figures))
    for number, column in enumerate(told["columns"]):
        figures = [row["paper"][number] for row in variants]
        shown.add_row(f"paper: {column}", *("" if figure is None else f"{figure:g}" for figure in figures))
    shown.add_row("images seen", *(f"{row['images_seen']:,}" for row in variants))
    shown.add_row("hours", *(f"{row['hours']:.2f}" for row in variants))
    out.print(f"{told['title']}: {told['source']}")
    out.print(f"ours in %, over {told['repeats']} trainings")
    out.print(shown)


def _percent(spread: dict[str, float | None]) -> str:
    mean, deviation = spread["mean"], spread["deviation"]
    assert mean is not None
    return f"{100 * mean:.1f}" + ("" if deviation is None else f" ±{100 * deviation:.1f}")


def _show_redrawn(drawn: dict[str, Any]) -> None:
    verdict = (
        "bit-identical" if drawn["identical"] else f"{drawn['same']} of {drawn['pictures']} pictures bit-identical"
    )
    out.print(
        f"{drawn['key']} of {drawn['shard']}, lineage {drawn['lineage']}: {verdict}", markup=False, soft_wrap=True
    )
    for image in drawn["images"]:
        says = "the same" if image["identical"] else f"differs: {image['recorded_sha256']} was recorded"
        out.print(f"  {image['file']}  sha256 {image['sha256']}, {says}", markup=False, soft_wrap=True)
    out.print(f"in {drawn['folder']}", markup=False, soft_wrap=True)


def _show_repair(name: str, mended: dict[str, Any]) -> None:
    out.print(f"{name}: {mended['checked']} image shards read, {len(mended['repaired'])} made again", markup=False)
    for shard in mended["repaired"]:
        verdict = {True: "bit-identical to what was sealed", False: "NOT the bytes that were sealed"}.get(
            shard["identical"], "what was sealed is not known"
        )
        out.print(f"  {shard['shard']}: {verdict}; put aside in {shard['put_aside']}", markup=False, soft_wrap=True)
        for fault in shard["faults"]:
            out.print(f"    {fault}", markup=False, soft_wrap=True)


def _usage(error: Any) -> None:
    if hasattr(error, "exit_code") and not hasattr(error, "format_message"):
        raise SystemExit(error.exit_code)
    if hasattr(error, "format_message"):
        _end(error.format_message() + "; see --help", 2)


def _end(said: object, code: int) -> None:
    print(f"synclr: {said}", file=sys.stderr)
    raise SystemExit(code)


if __name__ == "__main__":
    main()

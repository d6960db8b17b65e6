"""Lay out what commands return as tables and lines for people."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table

from data_specs.stage import RECORDS
from flows.cli.printing import print_line, print_table
from flows.runs.throughput import busy, format_number

if TYPE_CHECKING:
    from flows.runs.status import StageStatus


def counted(count: int, things: str) -> str:
    """`1 checkpoint`, `21,000 concepts`."""
    return f"{count:,} {things.removesuffix('s') if count == 1 else things}"


def _table(*columns: str | Column) -> Table:
    return Table(*columns, box=None, pad_edge=False)


def print_run_summary(summary: dict[str, Any]) -> None:
    """What `synclr run` made, stage by stage, then scores and the report's path."""
    for stage in summary["stages"]:
        reused, left = stage["sealed"] - stage["made"], stage["shards"] - stage["sealed"]
        shards = f"{stage['made']} of {stage['shards']} shards made, {reused} reused"
        shards += f", {left} left to other slices" if left else ""
        rejected = f", {sum(stage['rejected'].values()):,} rejected" if stage["rejected"] else ""
        print_line(f"{stage['stage']:<10} {shards}, {counted(stage['accepted'], RECORDS[stage['stage']])}{rejected}")
        for field in stage["stale"]:
            print_line(f"{'':<10} was stale: {field}", style="yellow")
    for line in summary["scores"]:
        print_line(line)
    print_line(f"{'report':<10} {summary['report']}")


def print_status(name: str, rows: Sequence["StageStatus"]) -> None:
    """A table that fits 80 columns, then a line for each thing that only some stages have."""
    lineage = Column("lineage", no_wrap=True)
    table = _table("stage", lineage, "shards", "records", "rejected", "made in")
    for row in rows:
        seconds = "" if row.seconds is None else f"{row.seconds:,.1f} s"
        records = counted(row.accepted, RECORDS[row.stage])
        table.add_row(
            row.stage, row.lineage, f"{row.made}/{row.planned}", records, f"{sum(row.rejected.values()):,}", seconds
        )
    print_table(table)
    for row in rows:
        rate = "" if row.per_second is None else f"{format_number(row.per_second)} {row.stage} a second"
        if speed := ", ".join(filter(None, (rate, busy(row.engine_busy)))):
            print_line(f"{row.stage} made at {speed}" if rate else f"{row.stage}: {speed}")
        if row.rejected:
            print_line(f"{row.stage} rejected: {reasons(row.rejected)}")
        if row.stale:
            print_line(f"{row.stage} is stale because of {', '.join(row.stale)}")
        if row.damaged:
            more = f" and {len(row.damaged) - 1:,} more" if len(row.damaged) > 1 else ""
            print_line(
                f"{row.stage} is damaged: {row.damaged[0]}{more}; synclr repair {name} puts it aside", style="red"
            )


def print_runs(runs: Sequence[Mapping[str, Any]], root: str) -> None:
    if not runs:
        print_line(f"no runs under {root!r} yet")
        return
    table = _table(Column("run", overflow="fold"), "state", "size", "score", Column("sealed last, UTC", no_wrap=True))
    for run in runs:
        score, size = run["score"], run["captions"]
        table.add_row(
            run["run"],
            run["state"],
            "" if size is None else counted(size, "captions"),
            "" if score is None else f"{score['benchmark']} {100 * score['value']:.1f} %",
            "" if run["unix_time"] is None else moment(run["unix_time"]).removesuffix(" UTC"),
        )
    print_table(table)
    for run in runs:
        if run["fault"]:
            print_line(f"{run['run']} cannot be read: {run['fault']}")
    print_line("synclr status RUN shows the stages of one")


def print_concepts(planned: dict[str, Any], head: int) -> None:
    """Shares by category, then at most `head` names of each reason for rejection."""
    table = _table("kind", "category", "names", "share", "with backgrounds")
    for row in planned["categories"]:
        counts = (str(row["names"]), f"{row['share']:.2%}", str(row["with_backgrounds"]))
        table.add_row(row["kind"], row["category"], *counts)
    print_table(table)
    if planned["to_write"]:
        print_line(f"backgrounds of {planned['to_write']} objects are to be written by an LLM")
    for reason, count in planned["rejected"].items():
        print_line(f"\n{reason}: {count}", style="bold")
        listed = [reject for reject in planned["rejects"] if reject["reason"] == reason][:head]
        for reject in listed:
            print_line(f"  {reject['text']}" if reason == "merged" else f"  {reject['text']!r} of {reject['key']}")
        print_rest(count - len(listed), len(listed))


def print_captions(planned: dict[str, Any]) -> None:
    """Counts beside the recipe's shares, and a line a listed caption, of whatever was planned."""
    if note := planned.get("note"):
        print_line(note, style="yellow")
    if "expected" in planned:
        print_table(_shares(planned))
    if listed := planned.get("plans"):
        table = _table("shard", "slot", "kind", "strategy", "is asked for", "category")
        for row in listed:
            prompt = row["prompt"]
            asked = prompt.rsplit("\n", 1)[-1] if isinstance(prompt, str) else prompt[-1]["text"]
            table.add_row(str(row["shard"]), str(row["slot"]), row["kind"], row["strategy"], asked, row["category"])
        print_table(table)


def _shares(planned: dict[str, Any]) -> Table:
    table = _table("", "planned", "share", "the recipe's share")

    def add(label: str, count: float, expected: float) -> None:
        table.add_row(label, str(count), f"{count / planned['planned']:.2%}", f"{expected / planned['planned']:.2%}")

    expected = planned["expected"]
    for kind, of_kind in expected["kinds"].items():
        add(kind, planned["kinds"].get(kind, 0), of_kind)
        for strategy, part in expected["strategies"][kind].items():
            add(f"  {strategy}", planned["strategies"].get(kind, {}).get(strategy, 0), part)
    for category, of_category in expected["categories"].items():
        add(f"category {category}", planned["categories"].get(category, 0), of_category)
    return table


def print_coverage(rows: Sequence[dict[str, Any]], head: int) -> None:
    """Concepts of which the smallest share was kept come first; at most `head` lines."""
    counts = ("planned", "asked", "kept", "left_out")
    table = _table("concept", "kind", "weight", "strategy", *(count.replace("_", " ") for count in counts))
    for row in sorted(rows, key=lambda row: row["kept"] / row["planned"])[:head]:
        numbers = (str(row[count]) for count in counts)
        table.add_row(row["concept"], row["kind"], f"{row['weight']:.2%}", row["strategy"], *numbers)
    print_table(table)
    print_rest(len(rows) - head, head)


def print_quality(measured: dict[str, Any], head: int) -> None:
    """A row a shard, of at most `head`, then the best and worst images, or the captions with the most and least similar ones."""
    columns = ("captions", "images", "unsafe", "not kept", "rejected", "near-duplicates", "siblings apart", "others")
    table = _table("shard", *columns, *(["fit"] if measured["fit"] else []))
    for row in measured["shards"][:head]:
        cells = [str(row["captions"]), str(row["images"]), str(row["unsafe"])]
        cells += [reasons(row["passed_over"]), reasons(row["rejected"]), *_sibling_cells(row["siblings"])]
        if measured["fit"]:
            cells.append(f"{row['fit']['mean']:.3f}" if row["fit"] else "")
        table.add_row(row["shard"], *cells)
    print_table(table)
    print_rest(len(measured["shards"]) - head, head)
    read, sealed = measured["shards_read"], measured["shards_sealed"]
    if read < sealed:
        print_line(f"{read} of {sealed} sealed shards were read, spread over the run")
    parts, figure = (("best", "worst"), "fit") if measured["fit"] else (("alike", "unlike"), "distance")
    for part in parts:
        for one in measured[part]:
            print_line(f"{part:<7} {one[figure]:.3f}  {one['key']}  {one['text']}")


def _sibling_cells(siblings: dict[str, Any] | None) -> tuple[str, str, str]:
    if siblings is None:
        return "", "", ""
    between = "" if siblings["between"] is None else f"{siblings['between']:.3f}"
    return f"{siblings['near']} of {siblings['siblings']}", f"{siblings['within']:.3f}", between


def print_reproduction(reproduced: dict[str, Any]) -> None:
    """One column an encoder: six benchmarks side by side do not fit a terminal, the encoders of a table do."""
    variants = reproduced["variants"]
    table = _table("", *(Column(row["name"], justify="right") for row in variants))
    for question in dict.fromkeys(question for row in variants for question in row["ours"]):  # not all read texts
        figures = [row["ours"].get(question) for row in variants]
        table.add_row(question.replace("_", " "), *("" if each is None else _percent(each) for each in figures))
    for number, column in enumerate(reproduced["columns"]):
        figures = [row["paper"][number] for row in variants]
        table.add_row(f"paper: {column}", *("" if each is None else f"{each:g}" for each in figures))
    table.add_row("images seen", *(f"{row['images_seen']:,}" for row in variants))
    table.add_row("hours", *(f"{row['hours']:.2f}" for row in variants))
    print_line(f"{reproduced['title']}: {reproduced['source']}")
    print_line(f"ours in %, over {reproduced['repeats']} trainings")
    print_table(table)


def print_redrawn(redrawn: dict[str, Any]) -> None:
    same = "bit-identical" if redrawn["identical"] else f"{redrawn['same']} of {redrawn['count']} images bit-identical"
    print_line(f"{redrawn['key']} of {redrawn['shard']}, lineage {redrawn['lineage']}: {same}")
    for image in redrawn["images"]:
        compared = "the same" if image["identical"] else f"differs: {image['recorded_sha256']} was recorded"
        print_line(f"  {image['file']}  sha256 {image['sha256']}, {compared}")
    print_line(f"in {redrawn['folder']}")


def print_remade(name: str, remade: dict[str, Any]) -> None:
    compared = {True: "bit-identical to what was sealed", False: "NOT the bytes that were sealed"}
    print_line(f"{name}: {remade['checked']} image shards read, {len(remade['repaired'])} made again")
    for shard in remade["repaired"]:
        verdict = compared.get(shard["identical"], "what was sealed is not known")
        print_line(f"  {shard['shard']}: {verdict}; put aside in {shard['put_aside']}")
        for fault in shard["faults"]:
            print_line(f"    {fault}")


def print_repaired(repaired: dict[str, Any]) -> None:
    aside = repaired["put_aside"]
    found = f"{len(aside)} put aside" if aside else "all whole, nothing was moved"
    print_line(f"{repaired['run']}: {counted(repaired['checked'], 'shards')} read, {found}")
    for shard in aside:
        print_line(f"  {shard['shard']}: moved to {shard['folder']}")
        for fault in shard["faults"]:
            print_line(f"    {fault}")
        if shard["also_of"]:
            print_line(f"    part of {counted(len(shard['also_of']), 'other runs')} too: {', '.join(shard['also_of'])}")
    if aside:
        print_line(f"make them again: {repaired['next']}")
        print_line("or press Retry on the page of the run that failed")


def print_image_list(written: dict[str, Any]) -> None:
    counts = f"{written['images']} images of {written['shards']} shards, lineage {written['lineage']}"
    print_line(f"{counts}: {written['bytes']:,} bytes in {written['file']}")


def print_rebuilt(rebuilt: dict[str, Any]) -> None:
    shards, images = rebuilt["shards"], rebuilt["images"]
    print_line(f"{rebuilt['made']} of {shards} shards made, in {rebuilt['folder']}")
    print_line(f"bit-identical: {rebuilt['identical']} of {shards} shards, {rebuilt['same']} of {images} images")
    if rebuilt["different"]:
        print_line(f"other bytes: {', '.join(rebuilt['different'])}")


def print_rest(count: int, head: int) -> None:
    """How to see the lines that a page leaves out."""
    if count > 0:
        print_line(f"and {count:,} more: --head {head + count}, or --json")


def moment(unix_time: float) -> str:
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%d %H:%M UTC")


def reasons(by_reason: Mapping[str, int]) -> str:
    """`merged 12, empty 3`."""
    return ", ".join(f"{reason} {count}" for reason, count in by_reason.items())


def _percent(spread: dict[str, float | None]) -> str:
    """Mean and, over several trainings, the deviation; both in percent."""
    mean, deviation = spread["mean"], spread["deviation"]
    assert mean is not None
    return f"{100 * mean:.1f}" + ("" if deviation is None else f" ±{100 * deviation:.1f}")

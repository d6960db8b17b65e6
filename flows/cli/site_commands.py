"""The command for pages over a root of runs: served on this machine, or written as files."""

from typing import Annotated

import typer

from data_specs.errors import SpecError
from data_specs.specs.run import WORKSPACE
from flows.cli.options import AsJson, Root
from flows.cli.printing import print_json, print_line, print_result
from flows.server.settings import prepare
from tasks import storage


def open_site(
    root: Root = WORKSPACE,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="port on 127.0.0.1 [default: 4201, or any that is free where that is taken]"
        ),
    ] = None,
    write: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            callback=lambda folder: folder and storage.expanded(folder),
            help="write the pages to this new folder or URL (s3://...), and serve nothing",
        ),
    ] = None,
    shards: Annotated[int, typer.Option(min=1, help="with --write: of so many shards of a stage, spread over it")] = 24,
    captions: Annotated[int, typer.Option(min=1, help="with --write: of the first so many captions of a shard")] = 48,
    prefect: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Prefect's pages to link to [default: those of the server in use, if there is one]"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the runs under a root as pages for a browser: runs, their shards, each image's way from its prompt to scores and back.

    The pages only read, and ask nothing of other machines. `synclr ui` serves them beside Prefect's. Written as files they can be
    copied to a bucket or a laptop.

    Example: synclr site --write pages --shards 4
    """
    if prefect is not None and not prefect.startswith(("http://", "https://")):
        raise SpecError(f"--prefect {prefect!r} is no address of pages, such as http://127.0.0.1:4200")
    from flows.site.site import Site

    if write is not None:
        from flows.site.write import write_site

        written = write_site(Site(root, prefect and prefect.rstrip("/"), shards, captions), write)
        said = (
            f"{written['pages']:,} pages, {written['files']:,} images and other files: {written['folder']}/index.html"
        )
        print_result(written, as_json, lambda: print_line(said))
        return
    from flows.site.serve import serve_site

    def tell(address: str) -> None:
        if as_json:
            print_json({"address": address, "root": root})
        else:
            print_line(f"runs under {root}: {address}  (Ctrl-C stops it)")

    serve_site(Site(root, (prefect or _server_in_use()).rstrip("/") or None), port, tell)


def _server_in_use() -> str:
    """The address of the pages of the server that is configured, or of the one of `synclr ui`; empty where there is none."""
    prepare()
    from flows.server.prefect_server import chosen

    return (chosen() or "").rstrip("/").removesuffix("/api")

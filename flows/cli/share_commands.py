"""Commands that hand results on: an encoder for other programs, a data set of images without its pixels."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from data_specs.specs.run import WORKSPACE
from flows.cli import tables
from flows.cli.options import AsJson, Root, RunName, at_home
from flows.cli.printing import print_line, print_result

EncoderFormat = Literal["hugging-face", "onnx"]


def export_model(
    name: RunName,
    output: Annotated[Path, typer.Option("--output", "-o", callback=at_home, help="a new folder")],
    form: Annotated[
        EncoderFormat,
        typer.Option("--format", help="hugging-face: a ViT for transformers; onnx: one file for any runtime"),
    ] = "hugging-face",
    root: Root = WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Export a run's trained encoder for other programs; `preprocessor_config.json` says how pixels are normalised.

    The ViT of transformers has a patch stem: train with `encoder.stem=patch` for it. ONNX takes any stem.

    Example: synclr export tiny --format onnx --output exported
    """
    from flows.inspect.export_encoder import export_encoder

    written = export_encoder(root, name, form, output)
    print_result(written, as_json, lambda: print_line(f"{', '.join(written['files'])} in {written['folder']}"))


def list_images(
    name: RunName,
    file: Annotated[Path, typer.Argument(callback=at_home, help="the list to write, such as images.jsonl.gz")],
    root: Root = WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Write what a run's images can be rendered again from, without a pixel: `synclr rebuild` makes the shards of it.

    The list holds captions, seeds, model revisions, settings and the digest of each image.

    Example: synclr list-images tiny images.jsonl.gz
    """
    from flows.repair.image_lists import write_list

    written = write_list(root, name, file)
    print_result(written, as_json, lambda: tables.print_image_list(written))


def rebuild_images(
    file: Annotated[Path, typer.Argument(callback=at_home, help="a list that `synclr list-images` wrote")],
    root: Root = WORKSPACE,
    as_json: AsJson = False,
) -> None:
    """Render the image shards of a list again, and say how many are bit-identical to those listed.

    Shards that are sealed under the root stay; the same command goes on where it was stopped.

    Example: synclr rebuild images.jsonl.gz --root copy
    """
    from flows.repair.image_lists import rebuild

    rebuilt = rebuild(root, file)
    print_result(rebuilt, as_json, lambda: tables.print_rebuilt(rebuilt))

"""Write the trained encoder of a run as files that other programs read."""

from pathlib import Path
from typing import Any, Literal

from data_specs.errors import SpecError
from flows.runs.plan import read_plan
from tasks.embeddings.extract import trained_files

Format = Literal["hugging-face", "onnx"]


def export_encoder(root: str, name: str, form: Format, folder: Path) -> dict[str, Any]:
    """Write the files to `folder`, which is made. Returns `{"run", "lineage", "format", "folder", "files"}`.

    Raises SpecError for a folder that holds something already, ContractError for a run without a sealed encoder.
    """
    if folder.exists() and any(folder.iterdir()):
        raise SpecError(f"--output {str(folder)!r} is not empty, and nothing is ever overwritten; name a new folder")
    table = read_plan(root, name).stages["encoder"].table
    # torch is imported once it is clear that there is something to export.
    files = trained_files(table)
    from models.encoder.exported import load_exported

    backbone = load_exported(files)
    made: dict[str, bytes]
    if form == "onnx":
        from models.encoder.onnx import onnx_bytes

        made = {"model.onnx": onnx_bytes(backbone)}
    else:
        from models.encoder.hugging_face import hugging_face_files

        made = hugging_face_files(backbone)
    folder.mkdir(parents=True, exist_ok=True)
    for file, data in made.items():
        (folder / file).write_bytes(data)
    return {"run": name, "lineage": table.lineage, "format": form, "folder": str(folder), "files": sorted(made)}

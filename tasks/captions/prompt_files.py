"""Load a prompt set, checked, by its name or from a folder."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.prompt_set import PROMPT_KINDS, PromptSet
from data_specs.specs.captions import CaptionsSpec
from tasks.yaml_files import read_yaml

CHAT = "chat.yaml"
"""What a chat model is told: the one file that a set may lack."""
SETS = Path(__file__).parent.parent.parent / "data_specs" / "prompts"


def load_prompts(name: str) -> PromptSet:
    """`name` is one of the sets that ship here, or a folder with the same files. Raises SpecError."""
    folder = SETS / name if (SETS / name).is_dir() else Path(name).expanduser()
    if not folder.is_dir():
        shipped = ", ".join(sorted(path.name for path in SETS.iterdir() if path.is_dir()))
        raise SpecError(f"captions.prompts: {name!r} is neither a folder nor one of: {shipped}")
    files: dict[str, Any] = {kind: _read(folder / f"{kind}.yaml") for kind in PROMPT_KINDS}
    if (folder / CHAT).exists():
        files["chat"] = _read(folder / CHAT)
    try:
        return PromptSet.model_validate(files)
    except ValidationError as error:
        fault = error.errors()[0]
        where = " ".join(map(str, fault["loc"]))
        raise SpecError(f"captions.prompts: {folder}: {where}: {fault['msg']}") from error


def prompts_of(spec: CaptionsSpec) -> PromptSet:
    """The recipe's set. Raises SpecError, also where chats are asked of a set that is for base models alone."""
    prompts = load_prompts(spec.prompts)
    if spec.chat and prompts.chat is None:
        raise SpecError(
            f"captions.chat: prompt set {spec.prompts!r} has no {CHAT}, whose `system:` tells a chat model what to answer; "
            f"write one, as {SETS / 'synclr' / CHAT} is"
        )
    return prompts


def prompts_digest(prompts: PromptSet, *, chat: bool) -> str:
    """Changes with any word that a model reads, so that captions from other prompts get a lineage of their own."""
    return digest("prompts", prompts.model_dump_json(exclude=None if chat else {"chat"}))


def _read(path: Path) -> Any:
    try:
        return read_yaml(path, "captions.prompts")
    except FileNotFoundError as error:
        raise SpecError(f"captions.prompts: {path} is missing; a set has {', '.join(PROMPT_KINDS)}.yaml") from error

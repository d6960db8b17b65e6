"""Read the templates of zero-shot prompts: sentences with a place for a class name."""

from collections.abc import Sequence
from pathlib import Path

from data_specs.errors import SpecError
from data_specs.ids import digest
from tasks.yaml_files import read_yaml

LISTS = Path(__file__).parents[2] / "data_specs" / "templates"
PLACE = "{}"


def load_templates(name: str) -> tuple[str, ...]:
    """`name` is one of the lists that ship here, or a YAML list of sentences with one `{}` each. Raises SpecError."""
    path = LISTS / f"{name}.yaml" if (LISTS / f"{name}.yaml").is_file() else Path(name).expanduser()
    try:
        found = read_yaml(path, "embeddings.templates")
    except FileNotFoundError as error:
        shipped = ", ".join(sorted(one.stem for one in LISTS.glob("*.yaml")))
        raise SpecError(f"embeddings.templates: {name!r} is neither a file nor one of: {shipped}") from error
    if not isinstance(found, list) or not found:
        raise SpecError(f"embeddings.templates: {path} must be a list of sentences")
    for sentence in found:
        if not isinstance(sentence, str) or sentence.count(PLACE) != 1:
            raise SpecError(
                f"embeddings.templates: {path}: {sentence!r} must have one {PLACE}, where the class name goes"
            )
    return tuple(found)


def templates_digest(templates: tuple[str, ...]) -> str:
    return digest("templates", *templates)


def prompts(name: str, templates: Sequence[str]) -> list[str]:
    """The prompts of one class; articles stay as they are (CLIP changes none)."""
    return [sentence.replace(PLACE, name.replace("_", " ")) for sentence in templates]

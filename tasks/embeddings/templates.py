"""The name of a list of sentences, or a file, enters; checked sentences with a place for a class name leave."""

from collections.abc import Sequence
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from data_specs.errors import SpecError
from data_specs.ids import digest

LISTS = Path(__file__).parents[2] / "data_specs" / "templates"
PLACE = "{}"


def load_templates(name: str) -> tuple[str, ...]:
    """`name` is one of the lists that ship here, or a YAML list of sentences with one `{}` each. Raises SpecError."""
    path = LISTS / f"{name}.yaml" if (LISTS / f"{name}.yaml").is_file() else Path(name).expanduser()
    try:
        found = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        shipped = ", ".join(sorted(one.stem for one in LISTS.glob("*.yaml")))
        raise SpecError(f"embeddings.templates: {name!r} is neither a file nor one of: {shipped}") from error
    except (YAMLError, UnicodeDecodeError, OSError) as error:
        raise SpecError(f"embeddings.templates: {path} is no readable YAML: {' '.join(str(error).split())}") from error
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
    """A class's sentences, articles as they stand (CLIP changes none)."""
    return [sentence.replace(PLACE, name.replace("_", " ")) for sentence in templates]

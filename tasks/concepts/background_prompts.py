"""Load the prompt file for backgrounds, and write the prompts that the LLM continues."""

from pathlib import Path
from random import Random

from pydantic import ValidationError

from data_specs.background_prompt import SEPARATOR, BackgroundPrompt, Places
from data_specs.errors import SpecError
from data_specs.ids import ConceptId, digest, seed_of
from data_specs.prompt_set import ARROW, EXAMPLES_PER_PROMPT
from tasks.yaml_files import read_yaml

SHIPPED = Path(__file__).parents[2] / "data_specs" / "prompts"
SETTING = "concepts.backgrounds_by.prompt"


def load_prompt(name: str) -> BackgroundPrompt:
    """`name` is a file that ships here, without its suffix, or a path. Raises SpecError."""
    shipped = SHIPPED / f"{name}.yaml"
    path = shipped if shipped.is_file() else Path(name).expanduser()
    try:
        return BackgroundPrompt.model_validate(read_yaml(path, SETTING))
    except FileNotFoundError as error:
        known = ", ".join(sorted(each.stem for each in SHIPPED.glob("*.yaml")))
        raise SpecError(f"{SETTING}: {name!r} is neither a file nor one of: {known}") from error
    except ValidationError as error:
        fault = error.errors()[0]
        raise SpecError(f"{SETTING}: {path}: {' '.join(map(str, fault['loc']))}: {fault['msg']}") from error


def prompt_file_digest(prompt: BackgroundPrompt) -> str:
    """Changes with any word of the prompt, so that backgrounds from another prompt get a lineage of their own."""
    return digest("background prompt", prompt.model_dump_json())


def examples_for(prompt: BackgroundPrompt, concept: ConceptId, seed: int, attempt: int) -> tuple[Places, ...]:
    """Three examples, drawn without replacement; each attempt draws anew."""
    random = Random(seed_of("background examples", seed, concept, attempt))
    left = list(prompt.examples)
    return tuple(left.pop(int(random.random() * len(left))) for _ in range(EXAMPLES_PER_PROMPT))


def write_example(example: Places) -> str:
    return f"{example.concept} {ARROW} {SEPARATOR.join(example.backgrounds)}"


def write_prompt(prompt: BackgroundPrompt, examples: tuple[Places, ...], concept: str) -> str:
    """Header, examples and the open question, separated by blank lines as in caption prompts."""
    return "\n\n".join([prompt.header, *map(write_example, examples), f"{concept} {ARROW}"])

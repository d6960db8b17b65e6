"""Load the prompt file for backgrounds, and write the prompts that a base model continues, or a chat model answers."""

from pathlib import Path
from random import Random

from pydantic import ValidationError

from data_specs.background_prompt import SEPARATOR, BackgroundPrompt, Places
from data_specs.errors import SpecError
from data_specs.ids import ConceptId, digest, seed_of
from data_specs.prompt_set import ARROW, EXAMPLES_PER_PROMPT
from data_specs.specs.concepts import BackgroundsSpec
from models.captioner.protocol import Prompt, Turn
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


def prompt_of(spec: BackgroundsSpec) -> BackgroundPrompt:
    """The recipe's prompt. Raises SpecError, also where chats are asked of a file that is for base models alone."""
    prompt = load_prompt(spec.prompt)
    if spec.chat and prompt.system is None:
        raise SpecError(
            f"{spec.at}.chat: {spec.prompt!r} has no `system:`, which tells a chat model what to answer; add it"
        )
    return prompt


def prompt_file_digest(prompt: BackgroundPrompt, *, chat: bool) -> str:
    """Changes with any word that a model reads, so that backgrounds from another prompt get a lineage of their own."""
    return digest("background prompt", prompt.model_dump_json(exclude=None if chat else {"system"}))


def examples_for(prompt: BackgroundPrompt, concept: ConceptId, seed: int, attempt: int) -> tuple[Places, ...]:
    """Three examples, drawn without replacement; each attempt draws anew."""
    random = Random(seed_of("background examples", seed, concept, attempt))
    left = list(prompt.examples)
    return tuple(left.pop(int(random.random() * len(left))) for _ in range(EXAMPLES_PER_PROMPT))


def write_example(example: Places) -> str:
    return f"{example.concept} {ARROW} {SEPARATOR.join(example.backgrounds)}"


def prompt_for(prompt: BackgroundPrompt, examples: tuple[Places, ...], concept: str, *, chat: bool) -> Prompt:
    return write_chat(prompt, examples, concept) if chat else write_prompt(prompt, examples, concept)


def write_chat(prompt: BackgroundPrompt, examples: tuple[Places, ...], concept: str) -> tuple[Turn, ...]:
    """The system prompt, the examples as questions and answers, and the open question."""
    shown = [
        turn
        for example in examples
        for turn in (Turn("user", example.concept), Turn("assistant", SEPARATOR.join(example.backgrounds)))
    ]
    return (Turn("system", f"{prompt.system}\n{prompt.header}"), *shown, Turn("user", concept))


def write_prompt(prompt: BackgroundPrompt, examples: tuple[Places, ...], concept: str) -> str:
    """Header, examples and the open question, separated by blank lines as in caption prompts."""
    return "\n\n".join([prompt.header, *map(write_example, examples), f"{concept} {ARROW}"])

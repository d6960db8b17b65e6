"""The spec of a text tower enters; the file that cuts captions into tokens leaves. Loads no torch."""

from pathlib import Path

from tokenizers import Tokenizer

from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.run import EncoderSpec

OWN = Path(__file__).parents[1] / "renderer" / "tiny" / "tokenizer"
FILE = "tokenizer.json"
END = "<|endoftext|>"
KNOB = "encoder.text_tokenizer"


def read_tokenizer(spec: EncoderSpec) -> str:
    """Raises SpecError if the folder holds no tokenizer."""
    folder = OWN if spec.text_tokenizer == "tiny" else Path(spec.text_tokenizer).expanduser()
    try:
        return (folder / FILE).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        way_out = "give `tiny`, or the tokenizer folder of a CLIP model"
        raise SpecError(f"{KNOB}: no {FILE} to be read in {str(folder)!r}; {way_out}") from error


def tokenizer_digest(spec: EncoderSpec) -> str | None:
    """Changes with a tokenizer of one's own; None where none is read. Raises SpecError as `read_tokenizer` does."""
    if spec.text_weight > 0 and spec.text_tokenizer != "tiny":
        return digest("tokenizer", read_tokenizer(spec))
    return None


def opened(json: str) -> tuple[Tokenizer, int]:
    """The tokenizer, and the id of its end-of-text token. Raises SpecError for one that is none, or has no such token."""
    try:
        tokenizer = Tokenizer.from_str(json)
    except Exception as error:  # the library raises bare Exception
        raise SpecError(f"{KNOB}: {FILE} is not a tokenizer: {error}") from error
    end = tokenizer.token_to_id(END)
    if end is None:
        raise SpecError(f"{KNOB}: the tokenizer has no {END}; CLIP's text tower is read there")
    return tokenizer, end


def require_tokenizer(spec: EncoderSpec) -> None:
    """Raises SpecError where a text tower is to learn and its tokenizer does not serve."""
    if spec.text_weight > 0:
        opened(read_tokenizer(spec))

"""Read and check the tokenizer of a text tower. Imports no torch."""

from pathlib import Path

from tokenizers import Tokenizer

from data_specs.errors import SpecError
from data_specs.ids import digest
from data_specs.specs.encoder import EncoderSpec

OWN = Path(__file__).parents[1] / "renderer" / "tiny" / "tokenizer"
FILE = "tokenizer.json"
END = "<|endoftext|>"
SETTING = "encoder.text_tokenizer"


def read_tokenizer(spec: EncoderSpec) -> str:
    """The text of the tokenizer's JSON file. Raises SpecError if the folder holds none."""
    folder = OWN if spec.text_tokenizer == "tiny" else Path(spec.text_tokenizer).expanduser()
    try:
        return (folder / FILE).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        way_out = "give `tiny`, or the tokenizer folder of a CLIP model"
        raise SpecError(f"{SETTING}: no {FILE} to be read in {str(folder)!r}; {way_out}") from error


def tokenizer_digest(spec: EncoderSpec) -> str | None:
    """A digest of a tokenizer of one's own; None where none is read. Raises SpecError as `read_tokenizer` does."""
    if spec.text_weight > 0 and spec.text_tokenizer != "tiny":
        return digest("tokenizer", read_tokenizer(spec))
    return None


def parse_tokenizer(json: str) -> tuple[Tokenizer, int]:
    """Parse a tokenizer; returns it with the id of its end-of-text token. Raises SpecError if there is none."""
    try:
        tokenizer = Tokenizer.from_str(json)
    except Exception as error:  # the library raises bare Exception
        raise SpecError(f"{SETTING}: {FILE} is not a tokenizer: {error}") from error
    end = tokenizer.token_to_id(END)
    if end is None:
        raise SpecError(f"{SETTING}: the tokenizer has no {END}; the text tower's output is read at it")
    return tokenizer, end


def require_tokenizer(spec: EncoderSpec) -> None:
    """Raises SpecError if a text tower is to be trained and its tokenizer cannot be used."""
    if spec.text_weight > 0:
        parse_tokenizer(read_tokenizer(spec))

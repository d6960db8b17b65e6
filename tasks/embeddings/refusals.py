"""Word what is wrong with a data set of the recipe."""

from data_specs.errors import SpecError
from data_specs.specs.embeddings import DataSet


def refusal(source: DataSet, text: str) -> SpecError:
    """The error to raise, which names the setting and the data set before what is wrong."""
    return SpecError(f"embeddings.data_sets: {source.name}: {text}")

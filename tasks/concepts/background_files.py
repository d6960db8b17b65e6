"""Look up a name's backgrounds in a file of the form `{name: [backgrounds]}`."""

from data_specs.concept import Kind
from data_specs.errors import SpecError
from data_specs.specs.concepts import ListedSource
from tasks.concepts import list_files
from tasks.concepts.naming import clean


class Backgrounds:
    """SynCLR's dictionaries: one list a name for ImageNet, one list a data set for food, cars, aircraft and flowers."""

    def __init__(self, source: ListedSource) -> None:
        """Raises SpecError for a file of another form, or without the key."""
        assert source.backgrounds is not None
        path = source.backgrounds
        tree = list_files.tree(list_files.read(path), path)
        if not isinstance(tree, dict) or not all(isinstance(each, list) for each in tree.values()):
            raise SpecError(f"concepts.sources: backgrounds {path!r} is not of the form {{name: [background, ...]}}")
        key = source.backgrounds_key
        if key is not None and key not in tree:
            keys = ", ".join(map(str, list(tree)[:30]))
            raise SpecError(f"concepts.sources: backgrounds {path!r} has no key {key!r}; it has {keys}")
        where = repr(path)
        self._shared = None if key is None else list_files.words(tree[key], where)
        self._by_name: dict[str, tuple[str, ...]] = {}
        for written, each in tree.items():
            name = clean(list_files.word(written, where)).casefold()
            # `Red Fox` and `red_fox` are one concept, and so are their lists.
            self._by_name[name] = (*self._by_name.get(name, ()), *list_files.words(each, where))

    def of(self, name: str, kind: Kind) -> tuple[str, ...]:
        """Those of this name, or of the list that all names share if the source names one by `backgrounds_key`."""
        if self._shared is not None:
            return self._shared
        return self._by_name.get(clean(name, kind).casefold(), ())

"""What a room reads and makes enters; the same in the words of OpenLineage leaves: a file, or whom the user has named."""

from flows.open_lineage.emitter import Emitter

__all__ = ["Emitter"]

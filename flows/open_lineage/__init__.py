"""Report what stages read and make as OpenLineage events, to a file beside the run or to where the user configured."""

from flows.open_lineage.emitter import Emitter

__all__ = ["Emitter"]

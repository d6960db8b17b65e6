"""A run enters; `runs/<name>/report.html` leaves: one file with its pictures, counts, losses, scores, recipe and lineage."""

from flows.report.write import write_report

__all__ = ["write_report"]

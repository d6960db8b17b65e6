"""The report of a run: one HTML file with its images, counts, losses, scores, recipe and lineage."""

from flows.report.write import write_report

__all__ = ["write_report"]

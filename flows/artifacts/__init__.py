"""What a run and its stages leave on a Prefect server for people: what happens now, lineage, counts, samples and scores."""

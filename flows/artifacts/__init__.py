"""What a stage run leaves on a Prefect server for people: lineage, counts, samples, scores and progress."""

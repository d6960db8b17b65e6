"""What a visit to a room leaves on the server for people: lineage, counts, samples, scores and progress."""

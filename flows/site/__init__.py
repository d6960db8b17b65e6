"""Pages over a root of runs, to be read in a browser: runs, their shards, and where each image came from and went to."""

"""Settings of each stage, with their defaults, bounds and descriptions. Together they are a RunSpec, which a recipe fills in."""

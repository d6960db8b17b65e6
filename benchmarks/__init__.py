"""Each speed claim as a ratio against a named peer, measured in one run on one machine. Never a timed test."""

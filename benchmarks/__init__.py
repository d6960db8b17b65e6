"""Measure each speed claim as a ratio against a named peer, in one run on one machine. Never a timed test."""

"""Captions in, groups of pictures out."""

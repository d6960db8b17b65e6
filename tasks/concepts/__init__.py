"""Builds one table of concepts from lists of names."""

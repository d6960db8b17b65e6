"""Lists of names in, one table of concepts out."""

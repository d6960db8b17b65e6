"""Engines that score images: fit to a caption, and safety."""

"""Renders groups of images from captions."""

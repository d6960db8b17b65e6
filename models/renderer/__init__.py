"""Engines that draw: text and seed in, pixels out."""

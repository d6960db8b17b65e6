"""Engines that render images from texts and seeds."""

"""Engines that look: pictures (and captions) in, scores out."""

"""The Tiny World: labelled scenes drawn from sprites, places and textures."""

"""Build the shipped tiny renderer: scenes, captions of them, training, export. No run needs it, and no floor imports it."""

"""Rendered and generated pictures enter, figures of the tiny renderer leave."""

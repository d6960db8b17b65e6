"""Measure the tiny renderer: what its images show, how varied they are, how fast they are drawn."""

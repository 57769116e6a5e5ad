"""Boxes and outlines in pixels: one place for every conversion."""

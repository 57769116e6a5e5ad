"""Annotation files to records and back; needs no torch."""

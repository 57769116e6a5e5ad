"""Packs of pictures on disk and the torch datasets that read them."""

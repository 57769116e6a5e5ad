"""The files of the VGG Image Annotator: one module per kind."""

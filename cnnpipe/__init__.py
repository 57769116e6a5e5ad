"""cnnpipe turns pictures annotated in the VGG Image Annotator into trained, evaluated CNNs."""

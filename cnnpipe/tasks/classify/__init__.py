"""Task `classify`: one class per object crop, or per picture."""

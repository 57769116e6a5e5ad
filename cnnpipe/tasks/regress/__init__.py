"""Task `regress`: one number per object crop, or per picture."""

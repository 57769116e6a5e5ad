"""Task `detect`: boxes with a class and a score."""

"""Networks by name, and the bundle a trained one travels in."""

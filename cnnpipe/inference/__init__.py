"""From a bundle to predictions."""

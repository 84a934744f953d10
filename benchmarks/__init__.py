"""Speed ratios: this package compared with other ways to do the same, on one thread."""

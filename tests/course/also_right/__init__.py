"""Other correct implementations of every exercise: each must pass its check."""

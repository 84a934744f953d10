"""Rows of tokens with known statistics, and real text. Imports nothing else of this package."""

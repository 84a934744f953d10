"""Drawings of circuits as SVG, in one visual language; see `parts`."""

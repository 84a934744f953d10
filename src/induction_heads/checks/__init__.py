"""The checks of every chapter: inputs, oracles and comparisons.

`answers` holds the known mistakes with their hints, and other correct implementations. Nothing is
imported here. `registry` finds the chapters; the process that runs a submission never
imports this package.
"""

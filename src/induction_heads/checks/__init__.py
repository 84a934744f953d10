"""The checks of every chapter: inputs, oracles, known mistakes and their hints.

Nothing is imported here. `registry` finds the chapters; the process that runs a submission never
imports this package.
"""

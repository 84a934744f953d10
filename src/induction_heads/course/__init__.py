"""The exercises: inputs, oracles, comparisons, known mistakes and hints of every chapter.

Nothing is imported here. `registry` finds the chapters; the process that runs a submission never
imports this package.
"""

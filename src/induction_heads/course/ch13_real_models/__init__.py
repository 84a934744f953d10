"""Checks, known mistakes, hints and inputs of chapter 13."""

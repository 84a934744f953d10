"""Checking a submission: submission → worker → judge → report.

The judge never runs the learner's code, and the worker never sees an expected answer. Nothing is
imported here, so that the worker loads only what it needs.
"""

"""Checking a submission: submission → worker → judge → report.

The judge never runs the learner's code. The worker never sees an expected answer. Nothing is
imported here, so that the worker loads only its own half.
"""

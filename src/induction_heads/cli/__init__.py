"""The commands, one file each. Nothing outside this package imports it.

`options` and `printing` hold what several commands share.
"""

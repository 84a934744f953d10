"""Right answers with one thing changed at a time: which of them does a check still accept?"""

"""Speed as ratios: our way of doing something beside its peers, in one run on one thread."""

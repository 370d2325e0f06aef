"""Speed, as ratios against the bare operation in the same run: ``make bench``."""

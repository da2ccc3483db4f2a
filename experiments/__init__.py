"""What produced the records that are not plain runs: search, mistakes, robustness, speed."""

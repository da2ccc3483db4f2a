"""What made the records that are not plain runs: search, mistakes, robustness, speed."""

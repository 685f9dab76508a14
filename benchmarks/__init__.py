"""Benchmarks of this package. They report ratios measured in one run, because absolute times depend on the machine."""

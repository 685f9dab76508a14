"""``make bench``: run every benchmark and print its ratio."""

from __future__ import annotations

from benchmarks import parsing

if __name__ == "__main__":
    print(parsing.report())

"""All benchmarks, one after the other: `python -m bench` (options belong to the single ones, see bench/README.md)."""

from __future__ import annotations

import subprocess
import sys

RUNS = (("throughput",), ("quality",), ("overhead", "--dags-only"))


def main() -> None:
    """Run each with its defaults; they print Markdown."""
    for name, *arguments in RUNS:
        print(f"\n## {name}\n", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.{name}", *arguments], check=True)


if __name__ == "__main__":
    main()

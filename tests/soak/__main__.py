"""`make soak`, or `python -m tests.soak [PART…] [--seed N]`: every part, or these; it fails where one does not hold."""

from __future__ import annotations

import argparse
import sys
import time

from tests.soak.parts import PARTS


def main() -> int:
    """Run the campaign; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)}; without any, all of them")
    parser.add_argument("--seed", type=int, default=1, help="what is drawn by chance follows from it")
    parser.add_argument("--rounds", type=int, default=0, help="how often; without it, as often as the part is meant to")
    asked = parser.parse_args()
    unknown = [part for part in asked.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    failures = 0
    for name in asked.parts or PARTS:
        began = time.monotonic()
        print(f"== {name}", flush=True)
        failed = PARTS[name](asked.seed, asked.rounds)
        told = f"{failed} FAILED" if failed else "held"
        print(f"== {name}: {told}, {time.monotonic() - began:.0f} s", flush=True)
        failures += failed
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Fuzzing: every reader by mutated bytes, the exports by damaged models, and HaloPSA's answers by lies.

With atheris installed (`pip install atheris`; Python 3.11) `python -m tests.soak.coverage READER` mutates by what
the reader's code covers, and keeps on until it is stopped.
"""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Callable

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.soak.damage import Damaged, damaged_files
from tests.soak.readers import PIECES, READERS, SAMPLES
from tests.soak.reading import check_reading
from transforms.errors import BillingError

_LONGEST_SECONDS = 20


def mutate(data: bytes, chance: random.Random) -> bytes:
    """A sample with some bytes cut out, changed, doubled, or a breaking piece put in."""
    for _ in range(chance.randint(1, 4)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((0, 1, 1, 4, 40)))
        piece = chance.choice((b"", bytes([chance.randrange(256)]), chance.choice(PIECES), data[start:end] * 2))
        data = data[:start] + piece + data[end:]
    return data[: chance.randint(0, len(data))] if chance.random() < 0.1 else data


def fuzz_readers(number_of_seed: int, rounds: int, tell: Callable[[str], None] = print) -> list[str]:
    """Read so many mutated files with each reader; returns the defects, each kind of them once."""
    defects: dict[str, str] = {}
    for name, read in READERS.items():
        refused = 0
        for number in range(rounds):
            chance = random.Random(f"{number_of_seed}/{name}/{number}")
            data = mutate(chance.choice(SAMPLES[name]), chance)
            began = time.monotonic()
            try:
                read(data)
            except BillingError as error:
                refused += 1
                if "\n" in str(error):
                    defects.setdefault(f"{name}: more than a line", repr(data[:200]))
            except Exception as error:  # whatever it is, it is a defect
                place = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{name}: {type(error).__name__} in {place.filename}:{place.lineno}"
                defects.setdefault(what, f"seed {number_of_seed}, number {number}: {error!s:.100} {data[:200]!r}")
            if time.monotonic() - began > _LONGEST_SECONDS:
                defects.setdefault(f"{name}: slow", f"seed {number_of_seed}, number {number}")
        tell(f"{name}: {rounds} mutated files, {refused} refused in a line")
    return [f"{what}: {example}" for what, example in defects.items()]


def damage_exports(number_of_seed: int, rounds: int, tell: Callable[[str], None] = print) -> list[str]:
    """Read so many exports that are damaged as models; returns the defect, if there is one."""
    ends = {"read": 0, "refused": 0}

    @seed(number_of_seed)
    @settings(
        max_examples=rounds, database=None, deadline=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(damaged_files())
    def read(made: Damaged) -> None:
        ends[check_reading(made)] += 1

    try:
        read()
    except Exception as error:  # whatever it is, it is a defect
        return [f"damaged exports: {type(error).__name__}: {error!s:.1000}"]
    finally:
        tell(f"damaged exports: {ends['read']} read, row by row as they should be, {ends['refused']} refused in a line")
    return []

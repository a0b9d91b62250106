"""`python -m tests.soak.coverage READER [ATHERIS OPTIONS]`: coverage-guided fuzzing of one reader, until it is stopped.

Needs atheris, for Python 3.11: `pip install -c constraints.txt atheris`. `-max_total_time=60` ends it after a minute,
`-seed=7` repeats what is drawn. What made the reader fail is left in a temporary folder, which it names.
"""

from __future__ import annotations

import contextlib
import random
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["connectors", "transforms", "pipelines"]):
    from tests.soak.fuzz import mutate
    from tests.soak.readers import READERS, SAMPLES
    from transforms.errors import BillingError


def main() -> None:
    """Fuzz the reader that the first argument names."""
    name = sys.argv.pop(1)
    read = READERS[name]

    def read_one(data: bytes) -> None:
        with contextlib.suppress(BillingError):
            read(data)

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        return mutate(data, random.Random(seed))[:most]

    corpus = Path(tempfile.mkdtemp(prefix="soak-corpus-"))
    for number, sample in enumerate(SAMPLES[name]):
        (corpus / str(number)).write_bytes(sample)
    failures = tempfile.mkdtemp(prefix="soak-failures-")
    arguments = [sys.argv[0], f"-artifact_prefix={failures}/", *sys.argv[1:], str(corpus)]
    atheris.Setup(arguments, read_one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

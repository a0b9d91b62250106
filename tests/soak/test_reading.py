"""A part of `make soak`: whatever is in a file, each row is read exactly, or in quarantine, or the file is refused."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.soak.damage import Damaged, damaged_files
from tests.soak.reading import check_reading


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(damaged_files())
def test_no_amount_of_a_damaged_file_is_read_wrongly(made: Damaged) -> None:
    check_reading(made)

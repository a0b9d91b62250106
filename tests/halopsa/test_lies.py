"""A part of `make soak`: whatever HaloPSA answers, a load ends in one line or in success."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings

from connectors.halopsa.sandbox.server import Sandbox
from tests.halopsa.conftest import KeptOpen
from tests.soak.answers import Lie, check_answers, lies


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@example(lie=Lie(1, 1, b"", None, 0, 302, "http://host:99999999/"))
@example(lie=Lie(1, 1, b"", None, 0, 302, "http://["))
@given(lie=lies)
def test_no_answer_leads_to_a_traceback(lie: Lie, shared_sandbox: Sandbox, transactions: KeptOpen) -> None:
    check_answers(lie, shared_sandbox, transactions)

"""Where a server may send a client: to itself."""

from __future__ import annotations

import pytest

from connectors.patience import ElsewhereError, address_there

HERE = "https://graph.example:8443/v1/operations/1"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/v1/manifests/2", "https://graph.example:8443/v1/manifests/2"),
        ("2?a=b", "https://graph.example:8443/v1/operations/2?a=b"),
        ("https://GRAPH.example:8443/x", "https://GRAPH.example:8443/x"),
    ],
)
def test_an_address_of_the_server_itself_is_taken(location: str, target: str) -> None:
    assert address_there(HERE, location) == target


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("http://graph.example:8443/x", "http://graph.example"),
        ("https://graph.example/x", "https://graph.example"),
        ("https://evil.example:8443/x", "https://evil.example"),
        ("//evil.example:8443/x", "https://evil.example"),
        ("https://graph.example:8443@evil.example/x", "https://evil.example"),
        ("https://user:word@graph.example:8443/x", "https://graph.example"),
        ("http://[", "what is no address"),
    ],
)
def test_any_other_is_not_and_says_where_it_leads_without_a_login(location: str, told: str) -> None:
    with pytest.raises(ElsewhereError) as refused:
        address_there(HERE, location)
    assert str(refused.value) == told

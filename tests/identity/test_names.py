"""An identity has one spelling, and two identities never share a DNS name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_tokens.errors import CallerError
from nucleus_verifier.rpc.names import WorkloadId, check_trust_domain, workload_id

SEGMENTS = st.lists(
    st.text("abz09-._A", min_size=1, max_size=4).filter(lambda s: s not in (".", "..")),
    min_size=1,
    max_size=4,
).map(tuple)


@given(SEGMENTS, SEGMENTS)
def test_two_identities_of_a_domain_never_share_a_name(
    one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    first, second = WorkloadId("example.org", one), WorkloadId("example.org", other)
    if first.dns_name is not None and first.dns_name == second.dns_name:
        assert first == second


@given(SEGMENTS)
def test_what_is_parsed_is_what_was_written(segments: tuple[str, ...]) -> None:
    identity = WorkloadId("example.org", segments)
    assert workload_id(str(identity), "example.org") == identity


def test_a_name_reads_from_the_leaf_to_the_domain() -> None:
    identity = workload_id("spiffe://example.org/issuer/eu", "example.org")
    assert identity.dns_name == "eu.issuer.example.org"
    assert workload_id("spiffe://example.org/Issuer", "example.org").dns_name is None
    assert workload_id("spiffe://example.org/a.b", "example.org").dns_name is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/a/",
        "spiffe://example.org//a",
        "spiffe://example.org/a/../b",
        "spiffe://example.org/./a",
        "spiffe://example.org/a?b",
        "spiffe://example.org/a#b",
        "spiffe://example.org/a%2fb",
        "spiffe://example.org:443/a",
        "spiffe://user@example.org/a",
        "spiffe://EXAMPLE.org/a",
        "SPIFFE://example.org/a",
        "spiffe://other.org/a",
        "spiffe://example.org.evil/a",
        "spiffe://example.org/ä",
        "spiffe://example.org/a\n",
        "spiffe://example.org/" + "a" * 2048,
        "https://example.org/a",
    ],
)
def test_any_other_spelling_is_refused(text: str) -> None:
    with pytest.raises(CallerError) as refused:
        workload_id(text, "example.org")
    assert refused.value.code == "identity.id"


@pytest.mark.parametrize("text", ["", "a..b", ".a", "a.", "A", "a/b", "ä", "a b", "a\n", "-a"])
def test_a_trust_domain_is_a_name(text: str) -> None:
    with pytest.raises(CallerError):
        check_trust_domain(text)

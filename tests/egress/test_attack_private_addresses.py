"""Every way to name an address that is not public ends before a socket is opened."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nucleus_proxy.egress.addresses import not_public
from nucleus_proxy.egress.dial import Private
from nucleus_tokens.errors import CredentialError
from tests.egress.far import answer, far, fetch, fetcher
from tests.egress.laws import LAW

INSIDE = [
    "0.0.0.1", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192",
    "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:7f00:1", "::ffff:808:808", "64:ff9b::a00:1",
    "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
    "fe80::1%eth0", "fec0::1", "ff02::1", "4000::1", "::2", "nonsense", "", "1.2.3",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:2800:21f::1", "2a00::1"]


@pytest.mark.parametrize("address", INSIDE)
def test_it_is_not_public(address: str) -> None:
    assert not_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_it_is_public(address: str) -> None:
    assert not_public(address) == ""


@LAW
@given(st.ip_addresses())
def test_nothing_is_public_that_the_standard_library_calls_private(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    """A slow second opinion: the two tables were written by different people."""
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        # Later registrations that the standard library of some versions still calls private.
        assert not_public(str(address)) or address in ipaddress.ip_network("2001:4:112::/48")


@pytest.mark.parametrize("address", [a for a in INSIDE if a.count(".") == 3 or ":" in a])
async def test_a_name_that_leads_there_is_refused(address: str) -> None:
    with pytest.raises(CredentialError, match="leads to an address"):
        await fetch(fetcher(names={"evil.test": [address]}), "http://evil.test/")


async def test_one_bad_address_spoils_a_name() -> None:
    for order in (["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"]):
        with pytest.raises(CredentialError, match="loopback"):
            await fetch(fetcher(names={"evil.test": order}), "http://evil.test/")


async def test_an_address_written_into_the_url_is_judged_the_same() -> None:
    for host in ("127.0.0.1", "10.0.0.1", "[::1]", "[fd00:ec2::254]", "169.254.169.254"):
        with pytest.raises(CredentialError, match="leads to an address"):
            await fetch(fetcher(), f"http://{host}/latest/meta-data/")


async def test_an_exception_is_for_one_name_one_port_and_one_address() -> None:
    async with far(answer()) as site, far(answer()) as other:
        both = {"index.test": ["127.0.0.1"], "evil.test": ["127.0.0.1"]}
        client = fetcher(
            site.port, other.port, names=both,
            private=[Private("index.test", site.port, "127.0.0.1")],
        )  # fmt: skip
        assert (await fetch(client, f"http://index.test:{site.port}/")).status == 200
        for url in (
            f"http://evil.test:{site.port}/",
            f"http://127.0.0.1:{site.port}/",
            f"http://index.test:{other.port}/",
        ):
            with pytest.raises(CredentialError, match="loopback"):
                await fetch(client, url)
        assert other.heads == []


async def test_ports_are_restricted() -> None:
    for port in (22, 25, 6379, 8080):
        with pytest.raises(CredentialError, match="port"):
            await fetch(fetcher(names={"a.test": ["93.184.215.14"]}), f"http://a.test:{port}/")

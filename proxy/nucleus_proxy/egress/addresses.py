"""Law: an address is public because it is in no table of others; one that nobody knows is not.

The ranges are those of the IANA special-purpose address registries (RFC 6890 and what followed),
spelled out: the standard library's own list depends on its version. Addresses that carry another
address inside (mapped, NAT64, 6to4, Teredo) are refused whole.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_V4: Final = tuple(
    (IPv4Network(net), why)
    for net, why in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "a cloud's own service"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
# Global unicast is 2000::/3; whatever else there is has its own name or none.
_GLOBAL: Final = IPv6Network("2000::/3")
_V6: Final = tuple(
    (IPv6Network(net), why)
    for net, why in (
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "an IPv4 address in IPv6 form"),
        ("::/96", "an IPv4 address in IPv6 form"),
        ("64:ff9b::/96", "an IPv4 address behind NAT64"),
        ("64:ff9b:1::/48", "an IPv4 address behind NAT64"),
        ("100::/64", "discarded"),
        ("2001::/23", "for protocols, Teredo among them"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "an IPv4 address in 6to4 form"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "for segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)


def not_public(address: str) -> str:
    """Why an address may not be reached as a public one; empty when it may."""
    try:
        found = ip_address(address)
    except ValueError:
        return "not an address"
    if isinstance(found, IPv4Address):
        return next((why for net, why in _V4 if found in net), "")
    return _v6(found)


def _v6(found: IPv6Address) -> str:
    if found.scope_id is not None:
        return "bound to one link"
    why = next((why for net, why in _V6 if found in net), "")
    return why or ("" if found in _GLOBAL else "not in use")

"""Every client's configurations: exactly what is wrong is found, and nothing in what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from nucleus.audit.catalogue import RULES
from tests.audit.bad import BAD
from tests.audit.good import GOOD
from tests.audit.stage import CREDENTIALS, audit, found, lay


@pytest.mark.parametrize("name", sorted(GOOD))
def test_nothing_is_found_in_a_good_one(name: str, tmp_path: Path) -> None:
    report = audit(lay(tmp_path, GOOD[name]))
    assert found(report) == set()
    if name not in ("not-ours",):
        assert report.files > 0, "it was read"


@pytest.mark.parametrize("name", sorted(BAD))
def test_exactly_what_is_wrong_is_found(name: str, tmp_path: Path) -> None:
    files, expected = BAD[name]
    report = audit(lay(tmp_path, files))
    assert found(report) == expected
    said = "\n".join(f.message + f.fix for f in report.findings)
    assert not [value for value in CREDENTIALS.values() if value in said], "no secret is repeated"


def test_every_rule_is_found_somewhere() -> None:
    expected = {rule for _, rows in BAD.values() for rule, _, _ in rows}
    elsewhere = {"policy-weak", "suppression-without-reason"}  # their own tests
    assert set(RULES) - expected - elsewhere == set()

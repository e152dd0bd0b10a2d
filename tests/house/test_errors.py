"""Codes are what scripts rely on: each is listed, none is listed that is gone."""

from tests.house.errors_table import PAGE, codes, page


def test_the_page_of_error_codes_is_the_source() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.house.errors_table"


def test_every_code_says_something() -> None:
    silent = [code for code, (_, says) in codes().items() if not says]
    assert not silent, f"a code without a sentence helps nobody: {silent}"

"""A test that nobody runs is a claim that nobody checks."""

from __future__ import annotations

import ast

import pytest

from tests.house.source import ROOT, python_files, shown, tree

TESTS = ROOT / "tests"


def test_tests_stand_only_in_files_that_pytest_reads() -> None:
    """pytest reads test_*.py; a test anywhere else is silently not a test."""
    stray = [
        f"{shown(path)}: {node.name}"
        for path in python_files(TESTS)
        if not path.name.startswith("test_")
        for node in tree(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and node.name.startswith(("test_", "Test"))
    ]
    assert not stray, f"rename the file to test_*.py: {stray}"


def test_no_folder_hides_from_pytest() -> None:
    hidden = [
        shown(path)
        for path in python_files(TESTS)
        if {"build", "dist", "node_modules", "venv", "CVS", "_darcs", "{arch}"} & set(path.parts)
    ]
    assert not hidden, f"pytest does not enter folders of this name: {hidden}"
    ignoring = [
        shown(path)
        for path in python_files(TESTS)
        if path.name == "conftest.py" and "collect_ignore" in path.read_text()
    ]
    assert not ignoring, "collect_ignore takes tests away where nobody looks"


def test_every_test_file_is_collected(request: pytest.FixtureRequest) -> None:
    """In a whole run, every test_*.py gave at least one test."""
    config = request.config
    whole = config.args_source is config.ArgsSource.TESTPATHS
    if not whole or config.option.keyword or config.option.markexpr:
        pytest.skip("only part of the suite was asked for")
    collected = {item.path for item in request.session.items}
    empty = [
        shown(path)
        for path in python_files(TESTS)
        if path.name.startswith("test_") and path not in collected
    ]
    assert not empty, f"no test was collected from: {empty}"

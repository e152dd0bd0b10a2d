"""The tests. A package, so that `tests.support` means ours and nobody else's."""

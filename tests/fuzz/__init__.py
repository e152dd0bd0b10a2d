"""Arbitrary bytes into every reader. `targets.py` says what must hold; `test_mutations.py` runs it
a bounded number of times in every suite, `atheris_targets.py` for as long as one likes.
"""

"""Law: an effect takes a permit, uses it first, and does nothing that the permit does not name.

One module a kind. What an effect acts on it reads from the call that was decided, never from
another source. Nothing outside this package performs I/O for an agent; a house test looks for it.
"""

"""The wall between somebody else's code and the machine: work cells and the local sandbox.

It moves bytes and decides nothing. What a cell may see and write is said by whoever starts it.
"""

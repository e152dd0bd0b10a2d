"""Vectors of the token format as JSON, the program that writes them, and the test that judges
this implementation by them. README.md describes the files for implementers.
"""

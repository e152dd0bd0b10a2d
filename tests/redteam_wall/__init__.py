"""Attacks on the wall, from inside, by real programs in real cells. Each file is an attack."""

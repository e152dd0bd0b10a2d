"""The wall, met by real programs in real cells."""

"""The real command: its words, its exit codes, and what it never shows."""

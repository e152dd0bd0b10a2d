"""Law: the queue in a terminal shows what every surface shows and answers by the same desk.

Only this package imports textual, which the extra `tui` brings. What comes from an agent is text
that was made safe, never markup and never an escape; no key answers what was not chosen.
"""

"""What agents are configured with, read and judged before anything runs.

Files become facts (`clients` and the readers), facts become findings (the rules, pure functions),
findings become a report. Only `walking`, `live` and `fixing` touch the world.
"""

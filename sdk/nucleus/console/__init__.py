"""Law: the console shows what waits and what runs, and what is done there is done by a person.

A page for one approver, rendered here and live through server-sent events. What comes from an agent
is text and never markup; what changes something comes from a form of this page and of nowhere else.
"""

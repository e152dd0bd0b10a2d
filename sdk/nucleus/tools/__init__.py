"""Law: these act on the innermost active session, through its proxy, and on nothing else.

from nucleus.tools import fs, net, git, cmd, agent
"""

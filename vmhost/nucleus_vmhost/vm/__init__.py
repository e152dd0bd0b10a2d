"""The hard wall: what speaks with a microVM. So far its channel, and nothing that starts one."""

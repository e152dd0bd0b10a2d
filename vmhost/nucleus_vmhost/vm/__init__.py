"""The hard wall: images, drivers and the channel of microVMs, and what runs inside one."""

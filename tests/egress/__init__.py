"""The road outward: what may be reached, what is sent there, and what comes back."""

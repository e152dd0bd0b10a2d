"""What an agent did, the policy made of it, and what the kernel says of the two."""

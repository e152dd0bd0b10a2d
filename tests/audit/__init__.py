"""What agents are configured with, judged: configurations of every client, good and bad."""

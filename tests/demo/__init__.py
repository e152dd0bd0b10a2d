"""The demo: that it goes as told, and that it would notice if it did not."""

"""The rules of the house. Each is a test, and each says why it is a rule."""

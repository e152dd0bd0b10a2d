"""What runs inside a microVM: it forwards, and holds no authority. Standard library alone."""

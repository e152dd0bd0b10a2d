"""What decide() must do, whatever anybody hands it."""

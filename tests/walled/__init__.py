"""`nucleus run --local`, as people and agents meet it."""

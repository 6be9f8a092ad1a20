"""Small worlds in which everything is known exactly."""

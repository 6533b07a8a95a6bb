"""What ``api`` asks of whatever runs the program (``protocol``), and what hosts of our own machines share."""

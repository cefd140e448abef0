"""What people look at: maps of the chosen cells."""

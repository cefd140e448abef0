"""What a command reports to the person who typed it, one module per command."""

"""Where things are: cells, the teams they belong to, which are removed and why, what is near."""

"""A first settings file, from a look at an extract and at the teams' polygons."""

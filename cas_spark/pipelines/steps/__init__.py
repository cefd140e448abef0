"""The steps of a weekly run: each reads tables, calls a room, and writes tables."""

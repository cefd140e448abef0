"""The steps in order: read, call, write, report. They bring together what rooms must not fetch."""

"""Exit codes of a command; 0 when it is done."""

FAILED = 1
WRONG_SETTINGS = 2

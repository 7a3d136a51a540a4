"""Features that decide ahead of signals, from data known before a session's open."""

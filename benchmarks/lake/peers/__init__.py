"""One module per peer; each does the same work as the lake, in the way that is fastest for it."""

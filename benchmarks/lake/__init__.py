"""The embedded lake measured: what it claims of itself, and the same work done by its peers."""

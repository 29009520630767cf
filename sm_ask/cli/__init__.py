"""argv → values → one call → exit code."""

"""The review page and the HTTP API, on this machine alone."""

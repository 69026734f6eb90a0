"""Those that run the analysis of an index run: threads here, processes on this machine, a Ray cluster."""

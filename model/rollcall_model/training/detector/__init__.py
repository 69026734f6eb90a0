"""Training of the single-pass detector: `python -m rollcall_model.training.detector --help`."""

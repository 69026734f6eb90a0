"""Training: run configurations, batches, losses, the trainer and its commands."""

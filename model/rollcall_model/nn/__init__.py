"""Building blocks: convolutions in the form that suits the platform, modules, pooling, state dicts."""

"""Keep the database in step with folders: discover, decode and analyse photos, store the results, watch."""

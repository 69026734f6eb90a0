"""Picture files: decode them to upright pixels, read their EXIF data, hash them, draw on them, name their paths."""

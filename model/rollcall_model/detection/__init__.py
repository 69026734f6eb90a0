"""Face detection: MTCNN's cascade, the packed image pyramid, and the prefilter that shortens the search."""

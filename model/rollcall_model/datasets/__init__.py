"""Labelled faces: readers for the formats of public data sets, and the aligned crops made of them."""

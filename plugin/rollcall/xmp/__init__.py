"""XMP, both ways: what other programs know is read from photos and sidecars, what Rollcall knows goes to sidecars.

An original is never opened for writing. Writing is off until a person turns it on (`xmp.write_photos`,
`xmp.write_folders`, `xmp.write_tags`).
"""

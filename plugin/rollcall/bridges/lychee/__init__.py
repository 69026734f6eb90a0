"""The face service of Lychee: Rollcall finds, compares and groups faces where Lychee asks for it."""

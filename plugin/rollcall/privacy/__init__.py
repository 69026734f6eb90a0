"""Erase data for good, keep erased photos from coming back, and switch estimates off."""

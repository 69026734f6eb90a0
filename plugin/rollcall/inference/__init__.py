"""Everything that needs the networks: analyse pictures, learn from corrections; no other room imports them."""

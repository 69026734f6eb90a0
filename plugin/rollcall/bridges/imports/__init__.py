"""Names of people from the databases and exports of other programs; those are read, never written."""

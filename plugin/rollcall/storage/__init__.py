"""The database: tables, views, transactions, the change feed, and what is particular to SQLite."""

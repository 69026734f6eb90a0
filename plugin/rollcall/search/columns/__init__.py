"""The library in columns: what searches ask of all photos at once, as arrays.

A million faces are evaluated in some ten milliseconds from arrays, where rows of the database take minutes. The arrays
are made from the public views and kept in files beside the database, which may be deleted at any time; what changed
since is read from the database, so that a search sees everything that was committed before it.
"""

from rollcall.search.columns.columns import Columns
from rollcall.search.columns.library import LibraryColumns, columns_of

__all__ = ["Columns", "LibraryColumns", "columns_of"]

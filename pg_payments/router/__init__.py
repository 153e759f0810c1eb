"""Several machines behind one database of functions: docs/scale.md."""

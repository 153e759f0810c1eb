"""Applying, comparing and removing the SQL of the package."""

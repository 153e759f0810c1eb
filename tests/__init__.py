"""The tests: plain ``pytest`` runs all of them, on every Postgres it finds."""

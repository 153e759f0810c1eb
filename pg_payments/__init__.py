"""Stripe payments in your own Postgres: a thin Python layer over the SQL in migrations/, functions/ and policies/."""

__version__ = "0.2.0"

"""From a delivery's bytes to rows of the ledger."""

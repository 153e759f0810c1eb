"""For applications' own test suites: a temporary Postgres, and a stand-in for Stripe (`offline_stripe`)."""

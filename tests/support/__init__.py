"""What the tests stand on: Postgres servers, migrated databases, pgTAP, dumps."""

"""What happens without anybody asking: `pg-payments worker`. One file a job; `runner` decides when each is due."""

"""``python -m pg_payments`` is the ``pg-payments`` command."""

from pg_payments.cli.main import main

if __name__ == "__main__":
    main()

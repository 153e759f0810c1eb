"""``python -m pg_payments`` is the ``pg-payments`` command."""

from pg_payments.cli import main

if __name__ == "__main__":
    main()

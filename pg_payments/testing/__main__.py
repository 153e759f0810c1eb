"""The stand-in for Stripe as a process: `python -m pg_payments.testing --deliver-to URL`, until it is told to stop.

Webhooks are signed with STRIPE_TEST_WEBHOOK_SECRET.
"""

from __future__ import annotations

import argparse
import os
import signal
import threading
from contextlib import ExitStack

from pg_payments.testing.offline_stripe import offline_stripe


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m pg_payments.testing", description="A stand-in for Stripe.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=12111, help="port to listen on")
    parser.add_argument("--base-url", help="how others reach it, if not by address and port")
    parser.add_argument("--deliver-to", metavar="URL", help="webhook endpoint to deliver to")
    given = parser.parse_args()
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    with ExitStack() as stack:
        stripe = stack.enter_context(offline_stripe(given.port, given.host, given.base_url))
        if given.deliver_to:
            stack.enter_context(stripe.delivering(given.deliver_to, os.environ["STRIPE_TEST_WEBHOOK_SECRET"]))
        print(f"a stand-in for Stripe at {stripe.base_url}", flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()

"""The dashboard: pages where administrators see money, failures and health, and act.

    from pg_payments.dashboard import mount_dashboard
    from pg_payments.http import create_app

    app = create_app()
    mount_dashboard(app)            # at PAYMENTS_DASHBOARD_PREFIX, where PAYMENTS_DASHBOARD is on

`dashboard(service)` alone is an ASGI application, to be mounted anywhere else.
"""

from pg_payments.dashboard.application import dashboard, mount_dashboard
from pg_payments.dashboard.sign_in import way_in

__all__ = ["dashboard", "mount_dashboard", "way_in"]

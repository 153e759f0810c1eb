"""What is wrong with an installation, how badly, and what to do next: for `pg-payments doctor` and the dashboard.

    from pg_payments.doctor import diagnose
    findings = diagnose(database_url, settings)

What the database knows of itself is asked of `payments.doctor()`; a check here is a function in `checks.CHECKS`.
"""

from pg_payments.doctor.diagnose import diagnose, examine
from pg_payments.doctor.findings import Finding, Level, worst

__all__ = ["Finding", "Level", "diagnose", "examine", "worst"]

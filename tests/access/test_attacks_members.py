# ruff: noqa: E501 - SQL is kept in one piece
"""Carol was an admin of the team. Somebody else ends that while she is connected, prepared, or in the middle of it."""

import pytest

from tests.access.stage import CAROL, DAN, NOTHING, Attempt, Stage

BEGIN = """select payments.begin_checkout('test', 'payment', '[{"price": "price_1"}]', 'https://a.example/', 'https://a.example/', 'team', 't1', idempotency_key => 'carol:1')"""
TEAMS = "select id from payments.stripe_checkout_sessions where subject_key = 'team:t1'"
FIRED = "delete from app.team_members where user_id = 'carol'"
DEMOTED = "update app.team_members set role = 'member' where user_id = 'carol'"
MOVED = "update app.team_members set team_id = 't3' where user_id = 'carol'"

ATTEMPTS = [
    Attempt("reads the team's checkouts after leaving", CAROL, TEAMS, NOTHING, first=TEAMS, meanwhile=FIRED),
    Attempt("reads them after losing her role", CAROL, TEAMS, NOTHING, first=TEAMS, meanwhile=DEMOTED),
    Attempt("reads them after moving to another team", CAROL, TEAMS, NOTHING, first=TEAMS, meanwhile=MOVED),
    Attempt(
        "reads them in the transaction she was still in it",
        CAROL,
        TEAMS,
        NOTHING,
        first=f"begin; {TEAMS}",
        meanwhile=FIRED,
    ),
    Attempt("bills the team after leaving", CAROL, BEGIN, "42501", first="select 1", meanwhile=FIRED),
    Attempt(
        "bills it in the transaction she was still in it",
        CAROL,
        BEGIN,
        "42501",
        first=f"begin; {TEAMS}",
        meanwhile=DEMOTED,
    ),
    Attempt("repeats her own earlier request for it", CAROL, BEGIN, "42501", first=BEGIN, meanwhile=FIRED),
    Attempt(
        "runs a prepared read after leaving",
        CAROL,
        "execute loot",
        NOTHING,
        first=f"prepare loot as {TEAMS}; execute loot",
        meanwhile=FIRED,
    ),
    Attempt(
        "runs a prepared insert after leaving",
        CAROL,
        "execute bill",
        "42501",
        first=f"prepare bill as {BEGIN}",
        meanwhile=FIRED,
    ),
    Attempt(
        "fetches from a cursor opened after leaving",
        CAROL,
        f"begin; declare c cursor for {TEAMS}; fetch all from c",
        NOTHING,
        first=TEAMS,
        meanwhile=FIRED,
    ),
    Attempt(
        "opens the team's portal after leaving",
        CAROL,
        "select payments.begin_portal_session('test', 'team', 't1')",
        "42501",
        first="select * from payments.billable_subjects()",
        meanwhile=FIRED,
    ),
    Attempt(
        "asks whom she may bill after leaving",
        CAROL,
        "select * from payments.billable_subjects()",
        [("user", "carol")],
        first="select * from payments.billable_subjects()",
        meanwhile=FIRED,
    ),
    Attempt(
        "asks whom she may bill under an old cached plan",
        CAROL,
        "select * from payments.billable_subjects()",
        [("user", "carol")],
        first="set plan_cache_mode = force_generic_plan; select * from payments.billable_subjects()",
        meanwhile=DEMOTED,
    ),
    Attempt(
        "reads the team's transactions after leaving",
        CAROL,
        "select amount from payments.transactions",
        NOTHING,
        first="select amount from payments.transactions",
        meanwhile=FIRED,
    ),
    Attempt(
        "bills under her name in other letters",
        CAROL,
        BEGIN,
        "42501",
        first="select 1",
        meanwhile="update app.team_members set user_id = 'CAROL' where user_id = 'carol'",
    ),
    Attempt(
        "bills while her role is null",
        CAROL,
        BEGIN,
        "42501",
        first="select 1",
        meanwhile="update app.team_members set role = null where user_id = 'carol'",
    ),
    Attempt(
        "bills a team whose id became null",
        CAROL,
        BEGIN,
        "42501",
        first="select 1",
        meanwhile="update app.team_members set team_id = null where user_id = 'carol'",
    ),
    Attempt(
        "bills when a row of the table has no user",
        DAN,
        BEGIN,
        "42501",
        first="select 1",
        meanwhile="insert into app.team_members values ('t1', null, 'owner')",
    ),
    Attempt(
        "bills when the team has no members any more",
        CAROL,
        BEGIN,
        "42501",
        first=f"begin; {TEAMS}",
        meanwhile="delete from app.team_members",
    ),
]


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=str)
def test_attack(attempt: Attempt, stage: Stage) -> None:
    stage.refuses(attempt)

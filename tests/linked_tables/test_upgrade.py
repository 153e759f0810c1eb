"""An upgrade writes again what was written for an application's tables, as the new version's functions have it."""

from __future__ import annotations

import shutil
from pathlib import Path

import psycopg
import pytest

from pg_payments.errors import MigrationError
from pg_payments.schema import patience
from pg_payments.schema.migrate import migrate, status
from pg_payments.schema.sql_files import SqlTree, packaged
from tests.linked_tables.shop import OWNER, PUSH, TEAM, Shop, product
from tests.support.servers import Server

MEMBERS = f"""
create table app.members (team uuid, person text); alter table app.members owner to {OWNER};
create function app.mine() returns setof uuid language sql as 'select null::uuid';
alter function app.mine() owner to {OWNER};
select payments.register_subject_type('team', 'app.members', 'team', 'person');
select payments.register_subject_type('club', 'app.mine()'::regprocedure);
"""
CHANGES = {
    "65_linked_tables/guard.sql": ("\n  new.%3$I := v_id;%4$s\n", "\n  new.%3$I := v_id;  -- as of today\n%4$s\n"),
    "65_linked_tables/touch.sql": ("  get diagnostics v_count = row_count;", "  -- as of today\n{}"),
    "65_linked_tables/values.sql": (
        "payments_private.linked_json(%s)",
        "payments_private.linked_json(%s /* as of today */)",
    ),
    "65_linked_tables/link.sql": ("'after insert', v_there", "'after insert', v_there || ' or new.id is null'"),
    "10_access/subject_registry.sql": ("is gone or has become another''s'", "is gone as of today, or another''s'"),
}
ANEW = """
select proname::text as name from pg_proc
 where pronamespace = 'payments_private'::regnamespace and prosrc like '%as of today%'
   and (proname ~ '_linked_1$' or proname like 'subjects_of%') order by 1
"""
TRIGGERS = """
select tgname::text as name, oid, pg_get_triggerdef(oid) like '%new.id IS NULL%' as anew, tgenabled = 'A' as always
  from pg_trigger where tgrelid = 'app.products'::regclass and not tgisinternal order by 1
"""


def linked(shop: Shop) -> None:
    shop.store(product())
    shop.link("app.products", "product", push=PUSH)
    shop.all("insert into app.products (stripe_product_id) values ('prod_1')")
    for statement in MEMBERS.strip().split(";\n"):
        shop.all(statement)


def later(root: Path, *files: str) -> SqlTree:
    """A version whose files say something else, all of them or those named."""
    for folder in ("functions", "policies", "migrations"):
        shutil.copytree(packaged().root / folder, root / folder)
    for name in files or CHANGES:
        before, after = CHANGES[name]
        path = root / "functions" / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after.format(before) if after.endswith("{}") else after))
    return SqlTree(root)


@pytest.mark.slow
def test_all_that_was_written_is_written_again(shop: Shop, tmp_path: Path) -> None:
    linked(shop)
    assert status(shop.url).up_to_date
    tree = later(tmp_path)
    mended = migrate(shop.url, tree).mended
    assert mended == [
        f"wrote the functions and triggers of {what} again"
        for what in ("linked table app.products", "subject type club", "subject type team")
    ]
    names = {row["name"] for row in shop.all(ANEW)}
    assert names >= {"guard_linked_1", "touch_linked_1", "write_linked_1", "subjects_of_team", "subjects_of_club"}
    event = "select prosrc like '%as of today%' as anew from pg_proc where proname = 'update_linked_rows'"
    assert shop.one(event) == {"anew": True}
    found = shop.all(TRIGGERS)
    assert [row["name"] for row in found if row["anew"]] == ["payments_check_1"]
    assert all(row["always"] for row in found)
    assert status(shop.url, tree).up_to_date
    with pytest.raises(psycopg.Error, match="takes only what"):
        shop.all("update app.products set stripe_price_id = 'price_2'")
    shop.store(product(default_price="price_3"))
    assert shop.one("select stripe_price_id as p from app.products") == {"p": "price_3"}

    migrate(shop.url)  # and back
    assert shop.all(ANEW) == []
    assert not any(row["anew"] for row in shop.all(TRIGGERS))
    assert status(shop.url).up_to_date


@pytest.mark.slow
def test_where_only_functions_changed_no_linked_table_is_locked(shop: Shop, tmp_path: Path) -> None:
    """A session that writes to the table, and to ours, holds up nothing."""
    shop.link("app.teams", "customer", by="subject", match=TEAM)
    linked(shop)
    before = shop.all(TRIGGERS)
    with psycopg.connect(shop.url) as writer:
        writer.execute("update app.products set views = 1")
        writer.execute("lock table payments.customer_mappings, app.teams in row exclusive mode")
        migrate(shop.url, later(tmp_path, "65_linked_tables/touch.sql", "65_linked_tables/guard.sql"))
    assert {"guard_linked_1", "touch_linked_1"} <= {row["name"] for row in shop.all(ANEW)}
    assert shop.all(TRIGGERS) == before


@pytest.mark.slow
def test_a_trigger_waits_for_the_table_and_gives_up_naming_who_holds_it(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(seconds=0.1, tries=2, pause=(0.0, 0.0)))
    linked(shop)
    tree = later(tmp_path, "65_linked_tables/link.sql")
    with psycopg.connect(shop.url, application_name="night job") as writer:
        writer.execute("update app.products set views = 1")
        with pytest.raises(MigrationError, match=f"process {writer.info.backend_pid} .*night job"):
            migrate(shop.url, tree)
    assert status(shop.url, tree).written == {"linked table app.products": "written by another version"}
    migrate(shop.url, tree)
    assert status(shop.url, tree).up_to_date


@pytest.mark.slow
def test_who_may_not_act_as_the_owner_is_told(shop: Shop, server: Server, tmp_path: Path) -> None:
    linked(shop)
    deployer = server.login("deployer_of_links", "payments_owner")
    shop.conn.execute(f"grant create on database {shop.conn.info.dbname} to {deployer}".encode())
    tree = later(tmp_path, "65_linked_tables/touch.sql")
    said = migrate(server.url(shop.conn.info.dbname, deployer), tree, trusted=[deployer]).mended
    left = f"left as it was written before: linked table app.products. Run migrate as who may act as {OWNER}"
    assert said == [left]
    for url in (shop.url, server.url(shop.conn.info.dbname, deployer)):
        assert list(status(url, tree).written) == ["linked table app.products"]
    assert migrate(shop.url, tree).mended == ["wrote the functions and triggers of linked table app.products again"]
    assert status(shop.url, tree).up_to_date


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        "alter table app.products drop column stripe_price_id cascade",
        "drop table app.products cascade; drop table app.members cascade",
        "alter table app.members drop column person; alter table app.members rename to former",
        "alter table app.products owner to payments_owner; alter function app.mine() owner to postgres",
    ],
)
def test_what_an_application_has_taken_apart_is_left_to_people(shop: Shop, change: str) -> None:
    linked(shop)
    for statement in change.split("; "):
        shop.all(statement)
    before = shop.all(ANEW.replace("%as of today%", "%"))
    assert all(line.startswith("took back execute") for line in migrate(shop.url, force=True).mended)
    assert status(shop.url).up_to_date
    assert shop.all(ANEW.replace("%as of today%", "%")) == before


@pytest.mark.slow
def test_links_by_reference_are_no_change_by_hand(shop: Shop) -> None:
    shop.link("app.teams", "customer", by="subject", match=TEAM)
    shop.link("app.teams", "subscription", by="subject", match=TEAM)
    shop.link("app.orders", "payment", by="checkout", match={"checkout_column": "checkout_id"})
    triggers = "select tgrelid, oid from pg_trigger where tgname = 'linked_tables_follow' order by 1"
    before = shop.all(triggers)
    assert len(before) == 3
    found = status(shop.url)
    assert found.up_to_date, found.mending
    assert migrate(shop.url, force=True).mended == []
    assert shop.all(triggers) == before
    shop.all("alter table payments.customer_mappings disable trigger linked_tables_follow")
    migrate(shop.url, force=True)
    enabled = "select bool_and(tgenabled = 'O') as on from pg_trigger where tgname = 'linked_tables_follow'"
    assert shop.one(enabled) == {"on": True}
    shop.all("select payments.unlink_table('app.teams')")
    assert len(shop.all(triggers)) == 1

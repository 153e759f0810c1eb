"""The whole schema as one script that a DBA can read and apply without this program: ``psql -1 -f``.

It leaves the same database as ``migrate`` on an empty one, bookkeeping included, so ``migrate`` goes on from there.
"""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pg_payments import __version__
from pg_payments.errors import ConfigurationError
from pg_payments.schema import state
from pg_payments.schema.migrate import LOCK_KEY, TELL_POSTGREST
from pg_payments.schema.sql_files import PACKAGE, SqlFile, SqlTree, packaged

_HEAD = """\
-- pg-payments {version}: the whole schema, for a database that has none of it yet.
--
--   psql -1 -f this-file
--
-- does what `pg-payments migrate` does on an empty database; a later `pg-payments migrate` goes on from there.

{transaction}
set local client_min_messages = warning;
select pg_advisory_xact_lock({lock});

{preconditions}
do $$
begin
    if to_regclass('payments_migrations.applied_migration') is not null then
        raise exception 'pg-payments is installed here already' using hint = 'Run pg-payments migrate.';
    end if;
end
$$;
"""

_BY_PSQL = """\
set search_path = pg_catalog, pg_temp;
\\set ON_ERROR_STOP on
savepoint this_script_needs_the_option_1;"""

_BY_ANY_CLIENT = """\
begin;
set local search_path = pg_catalog, pg_temp;"""

_NOTE_APPLIED = """
reset role;
insert into payments_migrations._yoyo_migration (migration_hash, migration_id, applied_at_utc)
values ('{yoyo_hash}', {name}, now() at time zone 'utc');
insert into payments_migrations._yoyo_log
    (id, migration_hash, migration_id, operation, username, hostname, created_at_utc)
values (gen_random_uuid()::text, '{yoyo_hash}', {name}, 'apply', session_user, 'psql', now() at time zone 'utc');
insert into payments_migrations.applied_migration (name, sha256) values ({name}, '{sha256}');
"""


def script(tree: SqlTree | None = None, *, any_client: bool = False) -> str:
    """The script for a tree of SQL (default: this version's), for ``psql -1``; or for any client, with BEGIN."""
    head = _BY_ANY_CLIENT if any_client else _BY_PSQL
    return "\n".join([*_parts(tree or packaged(), head), *(["commit;"] if any_client else [])])


def supabase_migration(directory: Path, now: datetime) -> Path:
    """Writes the script as a migration of Supabase's command line into a project's directory; returns the file."""
    migrations = directory / "supabase" / "migrations"
    if not migrations.parent.is_dir():
        raise ConfigurationError(
            f"{directory} has no directory supabase",
            hint="run it where `supabase init` was run, or name that with --in",
        )
    migrations.mkdir(exist_ok=True)
    path = migrations / f"{now:%Y%m%d%H%M%S}_pg_payments.sql"
    path.write_text(script(any_client=True) + "\n", encoding="utf-8")
    return path


def helpers_for_tests() -> str:
    """The schema ``payments_test`` for applications' own suites, to be run after the rest, once or again."""
    return _heading("helpers for tests") + (PACKAGE / "test_helpers.sql").read_text(encoding="utf-8")


def _parts(tree: SqlTree, head: str) -> Iterator[str]:
    preconditions = state.preconditions().text
    yield _HEAD.format(version=__version__, lock=LOCK_KEY, preconditions=preconditions, transaction=head)
    yield _heading("roles")
    yield state.roles().text
    yield _heading("bookkeeping")
    yield state.opening().text
    for file in tree.migrations():
        yield _heading(f"migrations/{file.path.name}")
        yield "set local search_path = payments_migrations, pg_catalog, pg_temp;\n"
        yield file.text
        yield _note_applied(file)
    yield "\nset local role payments_owner;\nset local search_path = pg_catalog, pg_temp;"
    for file in tree.reloadable():
        yield _heading(file.name)
        yield file.text
    yield _heading("what was loaded")
    for file in tree.reloadable():
        tables = f"'{file.table_sha256}'" if file.table_sha256 else "null"
        yield (
            "insert into payments_migrations.loaded_file (name, sha256, table_sha256)"
            f" values ({_literal(file.name)}, '{file.sha256}', {tables});"
        )
    yield state.closing().text
    yield state.recording().text
    yield f"reset role;\n{TELL_POSTGREST};"


def _note_applied(file: SqlFile) -> str:
    yoyo_hash = hashlib.sha256(file.name.encode()).hexdigest()
    return _NOTE_APPLIED.format(yoyo_hash=yoyo_hash, name=_literal(file.name), sha256=file.sha256)


def _heading(title: str) -> str:
    rule = "-" * 117
    return f"\n-- {rule}\n-- {title}\n-- {rule}\n"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

// A checkout begun through Kysely. On stdin: {url, user, price, claims}; on stdout: {id}.
import { readFileSync } from "node:fs";
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";

const { url, user, price, claims } = JSON.parse(readFileSync(0, "utf8"));
const db = new Kysely<any>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }) });

try {
  const made = await db.transaction().execute(async (trx) => {
    await sql`set local role authenticated`.execute(trx);
    await sql`select set_config('request.jwt.claims', ${claims}, true)`.execute(trx);
    /* the snippet */
    return { id };
  });
  console.log(JSON.stringify(made));
} catch (error: any) {
  console.error(error.code ?? error.cause?.code ?? error);
  process.exitCode = 1;
}
await db.destroy();

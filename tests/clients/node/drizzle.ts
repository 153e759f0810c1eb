// A checkout begun through Drizzle. On stdin: {url, user, price, claims}; on stdout: {id}.
import { readFileSync } from "node:fs";
import { sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/node-postgres";
import { jsonb, pgSchema, text, uuid } from "drizzle-orm/pg-core";
import pg from "pg";

const { url, user, price, claims } = JSON.parse(readFileSync(0, "utf8"));
const pool = new pg.Pool({ connectionString: url });

try {
  const made = await drizzle(pool).transaction(async (tx) => {
    await tx.execute(sql`set local role authenticated`);
    await tx.execute(sql`select set_config('request.jwt.claims', ${claims}, true)`);
    /* the snippet */
    return { id };
  });
  console.log(JSON.stringify(made));
} catch (error: any) {
  console.error(error.code ?? error.cause?.code ?? error);
  process.exitCode = 1;
}
await pool.end();

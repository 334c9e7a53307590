import { readFile } from "node:fs/promises";
import type pg from "pg";

/** As a version that had no later migration than this one. */
export async function migrateUpTo(pool: pg.Pool, tag: string): Promise<void> {
  const folder = new URL("../../migrations/", import.meta.url);
  const journal: { entries: { tag: string; when: number }[] } = JSON.parse(
    await readFile(new URL("meta/_journal.json", folder), "utf8"),
  );
  const last = journal.entries.findIndex((entry) => entry.tag === tag);
  await pool.query(
    "create schema avatars; create table avatars.migrations (id serial primary key, hash text not null, created_at bigint)",
  );
  for (const entry of journal.entries.slice(0, last + 1)) {
    const statements = await readFile(new URL(`${entry.tag}.sql`, folder), "utf8");
    await pool.query(statements.replaceAll("--> statement-breakpoint", ""));
    await pool.query("insert into avatars.migrations (hash, created_at) values ($1, $2)", [tag, entry.when]);
  }
}

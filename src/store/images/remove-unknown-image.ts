import type pg from "pg";
import { inTransaction } from "../postgres/in-transaction.ts";

/** A row that is there for no longer than the transaction: who takes the same image meanwhile waits for its end. */
const holdSql = `
insert into avatars.images (sha256, type, bytes, width, height) values ($1, 'image/jpeg', 0, 0, 0)
on conflict (sha256) do nothing`;

/**
 * Removes bytes that no row tells of. A process that has put the same bytes, and is about to write their row, looks for them once
 * more when it has written it: it finds them gone, and puts them again.
 * @param removeBytes removes them; twice is harmless
 * @returns false: the image has a row by now, and its bytes stay
 */
export async function removeUnknownImage(
  pool: pg.Pool,
  sha256: Buffer,
  removeBytes: () => Promise<void>,
): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const held = await client.query(holdSql, [sha256]);
    if (held.rowCount === 0) return false;
    await removeBytes();
    await client.query("delete from avatars.images where sha256 = $1", [sha256]);
    return true;
  });
}

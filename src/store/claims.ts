import type pg from "pg";
import type { ClaimFence } from "../domain/ledger.ts";
import { toStorableText } from "./storable-text.ts";

/** The claims that are still ours, locked in the order of their id like everywhere else: no deadlock with a save. */
const ours = `
with ours as materialized (
  select c.id from avatars.contacts c
  join unnest($1::bigint[], $2::uuid[]) as i (id, run_id) on c.id = i.id and c.claimed_by = i.run_id
  order by c.id for no key update of c
)`;

const extendSql = `${ours}
update avatars.contacts c set claimed_until = clock_timestamp() + $3::float8 * interval '1 ms'
from ours where c.id = ours.id`;

const releaseSql = `${ours}
update avatars.contacts c set claimed_by = null, claimed_until = null
from ours where c.id = ours.id`;

/** Contacts of its priority that go before one that was put off, where there are as many; of others, by `due_at`. */
const putOffBehind = 100;

const putOffSql = `
update avatars.contacts c
set claimed_by = null, claimed_until = null, due_at = clock_timestamp(),
  turn = i.turns[c.priority + 1] + ${putOffBehind}, last_error = $3
from avatars.instances i
where c.id = $1 and c.claimed_by = $2 and i.id = c.instance_id`;

/** See {@link RunLedger.putOff}. */
export async function putOff(pool: pg.Pool, { contactId, runId }: ClaimFence, error: string): Promise<void> {
  await pool.query(putOffSql, [contactId, runId, toStorableText(error)]);
}

/** See {@link RunLedger.extendClaims}. */
export async function extendClaims(
  pool: pg.Pool,
  claimLeaseMs: number,
  claims: readonly ClaimFence[],
): Promise<void> {
  if (claims.length > 0) await pool.query(extendSql, [...toColumns(claims), claimLeaseMs]);
}

/** See {@link RunLedger.releaseClaims}. */
export async function releaseClaims(pool: pg.Pool, claims: readonly ClaimFence[]): Promise<void> {
  if (claims.length > 0) await pool.query(releaseSql, toColumns(claims));
}

function toColumns(claims: readonly ClaimFence[]): [number[], string[]] {
  return [claims.map((claim) => claim.contactId), claims.map((claim) => claim.runId)];
}

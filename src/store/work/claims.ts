import type pg from "pg";
import type { ClaimFence } from "../../domain/ledger/run-ledger.ts";
import { toStorableText } from "../postgres/storable-text.ts";

/**
 * The claims that are still the caller's: contacts in `ours` are locked now, contacts in `busy` another transaction has
 * locked. The latter cannot be written to: records of them are put aside (save-lookups.ts).
 */
const ours = `
with claims as materialized (
  select id, run_id from unnest($1::bigint[], $2::uuid[]) as i (id, run_id)
), ours as materialized (
  select c.id from avatars.contacts c join claims i on c.id = i.id and c.claimed_by = i.run_id
  order by c.id for no key update of c skip locked
), busy as materialized (
  select c.id, c.instance_id, c.claimed_by as run_id from avatars.contacts c
  where c.id = any (array(select id from claims except select id from ours))
    and c.claimed_by = (select i.run_id from claims i where i.id = c.id limit 1)
  order by c.id for key share skip locked
)`;

/**
 * A claim that is put aside keeps runs from the contact. It must be there before the claim in the contact's row has run out.
 */
const extendSql = `${ours}, extended as (
  update avatars.contacts c set claimed_until = clock_timestamp() + $3::float8 * interval '1 ms'
  from ours where c.id = ours.id
)
insert into avatars.lookups_aside as a (contact_id, instance_id, run_id, claimed_until)
select id, instance_id, run_id, clock_timestamp() + $3::float8 * interval '1 ms' from busy order by id
on conflict (contact_id) do update set run_id = excluded.run_id, claimed_until = excluded.claimed_until
where a.record is null`;

/** Puts a record aside that gives the claim back, for the next sweep. */
const putReleaseSql = (error: string) => `
insert into avatars.lookups_aside as a (contact_id, instance_id, run_id, record)
select id, instance_id, run_id,
  json_build_object('contact_id', id, 'run_id', run_id, 'asked_at_ms', 0, 'kind', 'release', 'error', ${error})
from busy order by id
on conflict (contact_id) do update set run_id = excluded.run_id, record = excluded.record, claimed_until = null
where a.record is null`;

const releaseSql = `${ours}, released as (
  update avatars.contacts c set claimed_by = null, claimed_until = null
  from ours where c.id = ours.id
), ended as (
  delete from avatars.lookups_aside a where a.contact_id = any (array(select id from ours)) and a.record is null
) ${putReleaseSql("null")}`;

/** Contacts of its priority that go before one that was put off, where there are as many. */
const putOffBehind = 100;

/** A contact that cannot be written to now keeps its place. */
const putOffSql = `${ours}, put_off as (
  update avatars.contacts c
  set claimed_by = null, claimed_until = null, due_at = clock_timestamp(),
    turn = i.turns[c.priority + 1] + ${putOffBehind}, last_error = $3
  from ours, avatars.instances i
  where c.id = ours.id and i.id = c.instance_id
), ended as (
  delete from avatars.lookups_aside a where a.contact_id = any (array(select id from ours)) and a.record is null
) ${putReleaseSql("$3::text")}`;

/** See {@link RunLedger.putOff}. */
export async function putOff(pool: pg.Pool, { contactId, runId }: ClaimFence, error: string): Promise<void> {
  await pool.query(putOffSql, [[contactId], [runId], toStorableText(error)]);
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

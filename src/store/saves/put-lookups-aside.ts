import type pg from "pg";
import type { LookupCells } from "./lookup-cells.ts";

/**
 * Puts records aside whose contacts another transaction holds. That takes no lock on the contact that could meet one of theirs.
 * From then on no lease asks for the contact.
 *
 * - A record that is put aside already is replaced by a later one, but an answer only by an answer.
 * - A contact that is being erased cannot be referred to: its record is left to the caller. One that is gone is not told of.
 */
const sql = `
with given as materialized (
  select i.*, r.record from json_array_elements($1::json) as r (record)
  cross join lateral json_to_record(r.record) as i (contact_id bigint, epoch bigint)
), busy as materialized (
  select i.*, c.instance_id, k.id is not null as is_kept from given i
  cross join lateral (select c.id, c.instance_id from avatars.contacts c where c.id = i.contact_id offset 0) c
  left join lateral (
    select k.id from avatars.contacts k where k.id = c.id for key share skip locked
  ) k on true
), put as (
  insert into avatars.lookups_aside as a (contact_id, instance_id, epoch, record)
  select b.contact_id, b.instance_id, b.epoch, b.record from busy b where b.is_kept
  on conflict (contact_id) do update
  set epoch = excluded.epoch, record = excluded.record, in_flight_until = null, put_at = excluded.put_at
  where a.record is null
    or (excluded.record ->> 'kind' = 'answer', (excluded.record ->> 'asked_at_ms')::float8)
      >= (a.record ->> 'kind' = 'answer', (a.record ->> 'asked_at_ms')::float8)
)
select contact_id::float8 as id, is_kept from busy`;

/** Ids of contacts, by what became of their records. */
interface PutAside {
  readonly setAside: ReadonlySet<number>;
  readonly left: ReadonlySet<number>;
}

/** Puts records aside, each of another contact, by contact id. */
export async function putLookupsAside(pool: pg.Pool, cells: readonly LookupCells[]): Promise<PutAside> {
  if (cells.length === 0) return { setAside: new Set(), left: new Set() };
  const { rows } = await pool.query<{ id: number; is_kept: boolean }>({
    name: "put-lookups-aside",
    text: sql,
    values: [JSON.stringify(cells)],
  });
  const toIds = (isKept: boolean) => new Set(rows.flatMap((row) => (row.is_kept === isKept ? [row.id] : [])));
  return { setAside: toIds(true), left: toIds(false) };
}

import type pg from "pg";
import { cellsOfJsonSql } from "./lookup-cells.ts";
import { queryUnseen } from "./query-unseen.ts";
import { givenColumns, tellsItself, toWriteLookupsSql } from "./write-lookups-sql.ts";

const appliedAtOnce = 500;

/**
 * Writes records that were put aside, as far as their contacts are free again. Locked ones are passed over, however many
 * there are. Marks of calls in flight whose process is gone are cleared away. What is still due afterwards has arrived, for the holder
 * of the lease.
 */
const applySql = `
with free as materialized (
  select a.contact_id, a.record
  from avatars.lookups_aside a join avatars.contacts c on c.id = a.contact_id
  where a.record is not null and ($1::bigint is null or a.contact_id = $1)
  limit ${appliedAtOnce}
  for update of a skip locked
  for no key update of c skip locked
), given as (
  select ${givenColumns} from (select * from free order by contact_id) f
  cross join lateral json_to_record(f.record) as ${cellsOfJsonSql}
  where ${tellsItself}
), ${toWriteLookupsSql("$2::boolean")}, applied as (
  delete from avatars.lookups_aside a where a.contact_id = any (array(select contact_id from free))
), expired as (
  delete from avatars.lookups_aside a where a.contact_id in (
    select contact_id from avatars.lookups_aside
    where in_flight_until < clock_timestamp() - interval '1 minute' limit ${appliedAtOnce} for update skip locked)
), arrived as (
  insert into avatars.arrivals (instance_id)
  select distinct c.instance_id from looked i
  cross join lateral (select c.instance_id from avatars.contacts c where c.id = i.contact_id offset 0) c
  where i.is_locked and not (i.accepts and i.rests)
)
select count(*)::int as records from free`;

/** Contacts whose records are put aside, in no order. */
const listSql = `
select contact_id::float8 as id from avatars.lookups_aside where record is not null limit ${appliedAtOnce}`;

/** The outcome for records that were put aside. */
export interface AppliedLookups {
  readonly records: number;
  /** Records that Postgres never takes: their contacts are due again. */
  readonly refused: readonly { readonly contactId: number; readonly error: unknown }[];
}

/**
 * Writes what was put aside and whose contacts are free again; for any process, every second or so. Without such records it costs
 * a look into an empty table.
 * @param isTransient knows the errors after which the same is to be tried again
 */
export async function applyLookupsAside(
  pool: pg.Pool,
  keepsImages: boolean,
  isTransient: (error: unknown) => boolean,
): Promise<AppliedLookups> {
  let records = 0;
  try {
    for (let applied = appliedAtOnce; applied === appliedAtOnce; records += applied) {
      applied = await apply(pool, null, keepsImages);
    }
    return { records, refused: [] };
  } catch (error) {
    if (isTransient(error)) throw error;
    return applySingly(pool, keepsImages, isTransient, records);
  }
}

async function apply(pool: pg.Pool, contactId: number | null, keepsImages: boolean): Promise<number> {
  const [applied] = await queryUnseen<{ records: number }>(pool, {
    name: "apply-lookups-aside",
    text: applySql,
    values: [contactId, keepsImages],
  });
  return applied?.records ?? 0;
}

/** A record that Postgres refuses must not keep back the others, nor keep its contact from being asked again. */
async function applySingly(
  pool: pg.Pool,
  keepsImages: boolean,
  isTransient: (error: unknown) => boolean,
  before: number,
): Promise<AppliedLookups> {
  let records = before;
  const refused: { contactId: number; error: unknown }[] = [];
  const { rows } = await pool.query<{ id: number }>(listSql);
  for (const { id: contactId } of rows) {
    try {
      records += await apply(pool, contactId, keepsImages);
    } catch (error) {
      if (isTransient(error)) throw error;
      await pool.query("delete from avatars.lookups_aside where contact_id = $1", [contactId]);
      refused.push({ contactId, error });
    }
  }
  return { records, refused };
}

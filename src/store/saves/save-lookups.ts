import type pg from "pg";
import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";
import type { SaveReport } from "../../domain/ledger/run-ledger.ts";
import { toCellArrays, toCellsOfArraysSql, toLookupCells } from "./lookup-cells.ts";
import { putLookupsAside } from "./put-lookups-aside.ts";
import { queryUnseen } from "./query-unseen.ts";
import { offeredMs } from "./write-avatars-sql.ts";
import { givenColumns, tellsItself, toWriteLookupsSql } from "./write-lookups-sql.ts";

/**
 * Saves in one statement what can be saved at once, and tells of the rest. A contact that another transaction holds is not
 * waited for. A mark that was put aside ends with its call.
 */
const sql = `
with given as (
  select ${givenColumns} from ${toCellsOfArraysSql(2)} where ${tellsItself}
), ${toWriteLookupsSql("$1::boolean")}, ended as (
  delete from avatars.lookups_aside a
  where a.contact_id = any (array(select contact_id from looked where is_locked)) and a.record is null
)
select contact_id::float8 as id, 'held' as what from looked where not is_locked
union all
select contact_id::float8, 'image-wanted' from looked
where is_locked and avatar_write is not null
  and wanted_at between statement_timestamp() and statement_timestamp() + interval '${offeredMs} ms'
union all
select contact_id::float8, 'asked-anew' from looked where is_locked and accepts and becomes <> kind`;

/** What a row of the answer tells of a contact. */
type What = "held" | "image-wanted" | "asked-anew";

const none: ReadonlySet<number> = new Set();
const nothing: SaveReport = { setAside: none, left: none, imageWanted: none };

/**
 * See {@link RunLedger.saveLookups}. No two records may be of one contact.
 * @param keepsImages are the images of avatars taken, beside their URLs?
 */
export async function saveLookups(
  pool: pg.Pool,
  records: readonly LookupRecord[],
  keepsImages: boolean,
): Promise<SaveReport> {
  if (records.length === 0) return nothing;
  const cells = records
    .map((record) => toLookupCells(record, keepsImages))
    .toSorted((one, other) => one.contact_id - other.contact_id);
  const rows = await queryUnseen<{ id: number; what: What }>(pool, {
    name: "save-lookups",
    text: sql,
    values: [keepsImages, ...toCellArrays(cells)],
  });
  const toIds = (what: What) => new Set(rows.flatMap((row) => (row.what === what ? [row.id] : [])));
  const held = toIds("held");
  const aside = await putLookupsAside(
    pool,
    cells.filter((row) => held.has(row.contact_id)),
  );
  const report = { ...aside, imageWanted: toIds("image-wanted") };
  const askedAnew = toIds("asked-anew");
  return askedAnew.size > 0 ? { ...report, askedAnew } : report;
}

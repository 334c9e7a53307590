import type pg from "pg";
import type { AskedContact } from "../../domain/ledger/run-ledger.ts";
import { toMarkedBy } from "../saves/save-fence-sql.ts";
import { toStorableText } from "../postgres/storable-text.ts";

/** Contacts of its priority that go before one that was put off, where there are as many. */
const behind = 100;

/**
 * A contact that cannot be written to now keeps its place. The run may have ended before, and left a mark that the call is in
 * flight: it is over now.
 */
const sql = `
with ours as materialized (
  select c.id, c.priority, i.turns from avatars.contacts c join avatars.instances i on i.id = c.instance_id
  where c.id = $1 and c.due_at is not null and ($2 = i.lease_epoch or ${toMarkedBy("$2")})
  for no key update of c skip locked
), ended as (
  delete from avatars.lookups_aside a where a.contact_id = (select id from ours) and a.epoch = $2 and a.record is null
)
update avatars.contacts c
set due_at = clock_timestamp(), turn = o.turns[o.priority + 1] + ${behind}, last_error = $3,
  in_flight_epoch = case when c.in_flight_epoch is distinct from $2 then c.in_flight_epoch end,
  in_flight_until = case when c.in_flight_epoch is distinct from $2 then c.in_flight_until end
from ours o where c.id = o.id`;

/** See {@link RunLedger.putOff}. */
export async function putOff(
  pool: pg.Pool,
  { contactId, epoch }: AskedContact,
  error: string,
): Promise<void> {
  await pool.query(sql, [contactId, epoch, toStorableText(error)]);
}

import type { Actor, AuditEntry } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { StateBefore } from "../../domain/views/instance-view.ts";
import { recordAudit } from "../audit/record-audit.ts";
import type { Database } from "../postgres/database.ts";
import { inTransaction } from "../postgres/in-transaction.ts";

/** Calls from before a pause report old news, whatever it is. `hold_count` remembers that the pause ended a hold. */
const pauseSql = `
with before as materialized (select id, state from avatars.instances where id = $1 for no key update)
update avatars.instances i
set state = 'paused', held_reason = null, held_since = null, held_until = clock_timestamp(), allowed_chat_ids = null
from before b where i.id = b.id
returning b.state`;

/** An instance that was held before its pause has not proved yet that it works: as after any hold. */
const resumeSql = `
with before as materialized (
  select id, state, state = 'paused' as is_paused, throttled_until > clock_timestamp() as is_throttled
  from avatars.instances where id = $1 for no key update
)
update avatars.instances i
set state = case when b.is_paused then 'active' else i.state end,
  held_until = case when b.is_paused then clock_timestamp() else i.held_until end,
  ramp_from = case when b.is_paused and i.hold_count > 0 then clock_timestamp() else i.ramp_from end,
  hold_count = case when b.is_paused then 0 else i.hold_count end,
  throttled_until = null
from before b where i.id = b.id
returning case when b.state = 'active' and b.is_throttled then 'throttled' else b.state end as state`;

/**
 * Pauses the instance, which ends a hold: until a person resumes it, its lease is refused. Or resumes a paused instance, and
 * one that waits because the provider said so; a hold stays as it is. Returns the state before; undefined where there is no
 * such instance. One that was so already leaves no row in the audit log.
 * @param by undefined: the product itself
 * @param entry what the audit log is told, where it is more than a pause or its end
 */
export async function setPaused(
  { pool }: Database,
  id: InstanceId,
  paused: boolean,
  by?: Actor,
  entry?: AuditEntry,
): Promise<StateBefore | undefined> {
  return inTransaction(pool, async (client) => {
    const { rows } = await client.query<{ state: StateBefore }>(paused ? pauseSql : resumeSql, [id]);
    const before = rows[0]?.state;
    const isChanged = before !== undefined && before !== (paused ? "paused" : "active");
    if (entry && before !== undefined) await recordAudit(client, by, entry);
    else if (isChanged)
      await recordAudit(client, by, {
        action: paused ? "instance.paused" : "instance.resumed",
        subjectId: id,
        instanceId: id,
        detail: { from: before },
      });
    return before;
  });
}

import type pg from "pg";
import type { InstanceId } from "../../domain/instance-id.ts";

/**
 * Takes an erased contact out of the rows that name it: what was done stays, and to whom does not.
 * @param contactHash undefined: all contacts of the instance
 */
export async function forgetAuditedContact(
  client: pg.PoolClient,
  instanceId: InstanceId,
  contactHash?: string,
): Promise<void> {
  await client.query(
    `update avatars.audit set contact_hash = null
     where instance_id = $1 and contact_hash is not null and ($2::text is null or contact_hash = $2)`,
    [instanceId, contactHash ?? null],
  );
}

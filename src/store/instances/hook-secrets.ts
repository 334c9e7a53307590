import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { recordAudit } from "../audit/record-audit.ts";
import { inTransaction } from "../postgres/in-transaction.ts";

/** A secret that stands for the sender of an instance's notifications, as its HMAC. */
export interface StoredHookSecret {
  readonly id: string;
  readonly secretHmac: Buffer;
}

const setSql = `
update avatars.instances set hook_secret_hmac = $2, hook_set_at = clock_timestamp() where id = $1`;

const removeSql = `
update avatars.instances set hook_secret_hmac = null, hook_set_at = null
where id = $1 and hook_secret_hmac is not null`;

/** Takes notifications of the instance from now on with this secret, and with no other. False: no such instance. */
export async function setHookSecret(
  pool: pg.Pool,
  id: InstanceId,
  secretHmac: Buffer,
  by: Actor,
): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(setSql, [id, secretHmac]);
    if (!rowCount) return false;
    await recordAudit(client, by, { action: "instance.hook-set", subjectId: id, instanceId: id });
    return true;
  });
}

/** Takes no notifications of the instance any more. False: it took none. */
export async function removeHookSecret(pool: pg.Pool, id: InstanceId, by: Actor): Promise<boolean> {
  return inTransaction(pool, async (client) => {
    const { rowCount } = await client.query(removeSql, [id]);
    if (!rowCount) return false;
    await recordAudit(client, by, { action: "instance.hook-removed", subjectId: id, instanceId: id });
    return true;
  });
}

/** In any order; instances that take no notifications are left out. At most 1,000 at once. */
export async function findHookSecrets(pool: pg.Pool, ids: readonly string[]): Promise<StoredHookSecret[]> {
  const { rows } = await pool.query<{ id: string; hook_secret_hmac: Buffer }>(
    `select id, hook_secret_hmac from avatars.instances
     where id = any ($1::text[]) and hook_secret_hmac is not null`,
    [ids],
  );
  return rows.map(({ id, hook_secret_hmac: secretHmac }) => ({ id, secretHmac }));
}

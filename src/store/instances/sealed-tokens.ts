import { eq } from "drizzle-orm";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { StoredCredentials } from "../../domain/judge-credentials.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import type { Database } from "../postgres/database.ts";
import { instances } from "../schema/instances.ts";

const columns = { id: instances.id, apiUrl: instances.apiUrl, sealedToken: instances.sealedToken };

/** Where an instance is called and with what, as they stand in the row together; its state beside them. */
export async function findCredentials(
  { orm }: Database,
  id: InstanceId,
): Promise<(StoredCredentials & Pick<InstanceView, "state">) | undefined> {
  const [row] = await orm
    .select({ ...columns, state: instances.state })
    .from(instances)
    .where(eq(instances.id, id));
  return row;
}

/** The credentials of all instances: to check a key against them, and to seal anew what was sealed before. */
export async function listCredentials({ orm }: Database): Promise<(StoredCredentials & { id: string })[]> {
  return orm.select(columns).from(instances);
}

/** Replaces only what is as it was read. A row that another process is changing is left to the next start. */
const replaceSql = `
update avatars.instances set sealed_token = $4
where id = any (array(
  select id from avatars.instances where id = $1 and api_url = $2 and sealed_token = $3
  for no key update skip locked))`;

/** Replaces a sealed token by the same one, sealed anew. */
export async function replaceSealedToken(
  { pool }: Database,
  { id, apiUrl, sealedToken }: StoredCredentials & { readonly id: string },
  sealedAnew: string,
): Promise<void> {
  await pool.query(replaceSql, [id, apiUrl, sealedToken, sealedAnew]);
}

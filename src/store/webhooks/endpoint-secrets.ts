import type pg from "pg";
import type { Actor } from "../../domain/audit.ts";
import type { EndpointWish } from "../../domain/webhooks/webhook-endpoint.ts";
import { toStorableText } from "../postgres/storable-text.ts";
import { toDetail } from "./add-endpoint.ts";
import { audited } from "./audited.ts";

/** The secrets of an endpoint, sealed for the origin of its URL. */
export interface SealedSecrets {
  readonly url: string;
  readonly sealedSecret: string;
  /** The one before, while it signs too. */
  readonly sealedPrevious: string | undefined;
}

/** Seals the secrets of an endpoint for another URL. Throws where they cannot be opened. */
export type SealAnew = (stored: SealedSecrets) => Pick<SealedSecrets, "sealedSecret" | "sealedPrevious">;

export const dropLease = "lease_owner = null, leased_until = null, lease_epoch = lease_epoch + 1";

const findSql = `
select url, sealed_secret, case when previous_until > clock_timestamp() then sealed_previous end as sealed_previous
from avatars.webhook_endpoints where id = $1`;

/** @param lock `for no key update`: no other change comes between this read and the write */
export async function findSecrets(
  client: Pick<pg.Pool, "query">,
  id: string,
  lock: "" | "for no key update" = "",
): Promise<SealedSecrets | undefined> {
  const { rows } = await client.query<{
    url: string;
    sealed_secret: string;
    sealed_previous: string | null;
  }>(`${findSql} ${lock}`, [id]);
  const [row] = rows;
  if (row === undefined) return undefined;
  return { url: row.url, sealedSecret: row.sealed_secret, sealedPrevious: row.sealed_previous ?? undefined };
}

/** A new address has its failures before it. */
const changeSql = `
update avatars.webhook_endpoints set
  url = coalesce($2, url), label = case when $9 then null else coalesce($3, label) end, types = coalesce($4::text[], types),
  instance_ids = case when $10 then null else coalesce($5::text[], instance_ids) end,
  includes_first_seen = coalesce($6, includes_first_seen), is_ordered = coalesce($7, is_ordered),
  omits_chat_id = coalesce($8, omits_chat_id), sealed_secret = coalesce($11, sealed_secret),
  sealed_previous = case when $11::text is null then sealed_previous else $12 end,
  previous_until = case when $11::text is null or $12::text is not null then previous_until end,
  failing_since = case when $2 is null or $2 = url then failing_since end,
  head_next_at = null, ${dropLease}
where id = $1`;

/**
 * Changes what is given. The secrets go along under the row's lock: none that is made meanwhile is lost, or is sealed for an address
 * that is not the endpoint's any more.
 * @param sealAnew given with a new URL
 */
export async function changeEndpoint(
  pool: pg.Pool,
  id: string,
  wish: EndpointWish,
  sealAnew: SealAnew | undefined,
  by: Actor,
): Promise<boolean> {
  const { url, label, types, instanceIds, includesFirstSeen, isOrdered, omitsChatId } = wish;
  const entry = { action: "webhook.changed", subjectId: id, detail: toDetail(wish) } as const;
  return audited(pool, by, entry, async (client) => {
    const stored = sealAnew && (await findSecrets(client, id, "for no key update"));
    const secrets = stored && sealAnew?.(stored);
    const values = [
      id,
      url,
      label && toStorableText(label),
      types,
      instanceIds,
      includesFirstSeen,
      isOrdered,
      omitsChatId,
      label === null,
      instanceIds === null,
      secrets?.sealedSecret,
      secrets?.sealedPrevious,
    ];
    return (await client.query(changeSql, values)).rowCount === 1;
  });
}

const rotateSql = `
update avatars.webhook_endpoints set sealed_previous = sealed_secret, sealed_secret = $2,
  previous_until = clock_timestamp() + $3::float8 * interval '1 ms', ${dropLease}
where id = $1 returning previous_until`;

/**
 * Replaces the secret, which signs on until the moment that is returned.
 * @param seal seals the new one for the endpoint's URL
 */
export async function rotateSecret(
  pool: pg.Pool,
  id: string,
  seal: (url: string) => string,
  previousForMs: number,
  by: Actor,
): Promise<Date | undefined> {
  return audited(pool, by, { action: "webhook.rotated", subjectId: id }, async (client) => {
    const stored = await findSecrets(client, id, "for no key update");
    if (stored === undefined) return undefined;
    const values = [id, seal(stored.url), previousForMs];
    return (await client.query<{ previous_until: Date }>(rotateSql, values)).rows[0]?.previous_until;
  });
}

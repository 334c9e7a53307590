import type pg from "pg";
import type { Actor, AuditDetail } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import type { EndpointSettings, EndpointWish } from "../../domain/webhooks/webhook-endpoint.ts";
import { toStorableText } from "../postgres/storable-text.ts";
import { audited } from "./audited.ts";

export interface NewEndpoint {
  readonly id: string;
  readonly settings: EndpointSettings;
  readonly sealedSecret: string;
  /** Where it begins to read. */
  readonly cursor: number;
}

/** How many endpoints there may be. */
export interface EndpointBounds {
  readonly total: number;
  /** Of those that are told of none but these instances; undefined: no such bound. */
  readonly within: { readonly instanceIds: readonly InstanceId[]; readonly most: number } | undefined;
}

/** What came of it; else the bound that is reached. */
export type EndpointAdded = "added" | "total" | "within";

const countSql = `
select count(*)::int as total, count(*) filter (where instance_ids <@ $1::text[])::int as within
from avatars.webhook_endpoints`;

const insertSql = `
insert into avatars.webhook_endpoints (id, url, label, types, instance_ids, includes_first_seen, is_ordered, omits_chat_id,
  sealed_secret, cursor)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`;

/** Adds an endpoint where there is room for it. Others that are added meanwhile wait, so that each is counted. */
export async function addEndpoint(
  pool: pg.Pool,
  { id, settings, sealedSecret, cursor }: NewEndpoint,
  { total, within }: EndpointBounds,
  by: Actor,
): Promise<EndpointAdded> {
  const entry = { action: "webhook.added", subjectId: id, detail: toDetail(settings) } as const;
  let reached: EndpointAdded = "added";
  await audited(pool, by, entry, async (client) => {
    await client.query("lock table avatars.webhook_endpoints in share row exclusive mode");
    const { rows } = await client.query<{ total: number; within: number }>(countSql, [
      within?.instanceIds ?? null,
    ]);
    const [count] = rows;
    if (within && count && count.within >= within.most) reached = "within";
    else if (count && count.total >= total) reached = "total";
    else await client.query(insertSql, [id, ...toCells(settings), sealedSecret, cursor]);
    return reached === "added";
  });
  return reached;
}

/** Of the URL its origin: what stands behind may be a secret. */
export function toDetail({ url, types, instanceIds }: EndpointWish): AuditDetail {
  return {
    ...(url !== undefined && { origin: new URL(url).origin }),
    ...(types && { types }),
    ...(instanceIds && { instanceIds }),
  };
}

function toCells(settings: EndpointSettings): unknown[] {
  const { url, label, types, instanceIds, includesFirstSeen, isOrdered, omitsChatId } = settings;
  const storedLabel = label === undefined ? null : toStorableText(label);
  return [url, storedLabel, types, instanceIds ?? null, includesFirstSeen, isOrdered, omitsChatId];
}

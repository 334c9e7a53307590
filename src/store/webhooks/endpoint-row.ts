import type { InstanceId } from "../../domain/instance-id.ts";
import type { DisabledReason, WebhookEndpoint } from "../../domain/webhooks/webhook-endpoint.ts";
import type { WebhookType } from "../../domain/webhooks/webhook-type.ts";

/** An endpoint as the driver gives it. */
export interface EndpointRow {
  readonly id: string;
  readonly url: string;
  readonly label: string | null;
  readonly types: WebhookType[];
  readonly instance_ids: InstanceId[] | null;
  readonly includes_first_seen: boolean;
  readonly is_ordered: boolean;
  readonly omits_chat_id: boolean;
  readonly cursor: string;
  readonly missed: string;
  readonly state: "active" | "disabled";
  readonly disabled_reason: DisabledReason | null;
  readonly disabled_at: Date | null;
  readonly failing_since: Date | null;
  readonly last_success_at: Date | null;
  readonly previous_until: Date | null;
  readonly created_at: Date;
  readonly retries: number;
  readonly lag_seconds: number;
}

/** Retries are counted up to so many. */
const mostCounted = 10_000;

/**
 * The columns of an {@link EndpointRow}, of an endpoint `e`. The lag is that of the first change or event behind the cursor. One that
 * was seen long before it was told counts from when it was seen.
 */
export const endpointColumns = `e.id, e.url, e.label, e.types, e.instance_ids, e.includes_first_seen, e.is_ordered, e.omits_chat_id,
  e.cursor, e.missed, e.state, e.disabled_reason, e.disabled_at, e.failing_since, e.last_success_at, e.created_at,
  case when e.previous_until > clock_timestamp() then e.previous_until end as previous_until,
  (select count(*)::int from (
    select from avatars.webhook_retries r where r.endpoint_id = e.id limit ${mostCounted}) r) as retries,
  coalesce(greatest(0, extract(epoch from clock_timestamp() - least(
    (select h.seen_at from avatars.avatar_changes h where h.id > e.cursor order by h.id limit 1),
    (select v.at from avatars.webhook_events v where v.id > e.cursor order by v.id limit 1)))), 0)::float8 as lag_seconds`;

export function toEndpoint(row: EndpointRow): WebhookEndpoint {
  return {
    id: row.id,
    url: row.url,
    label: row.label ?? undefined,
    types: row.types,
    instanceIds: row.instance_ids ?? undefined,
    includesFirstSeen: row.includes_first_seen,
    isOrdered: row.is_ordered,
    omitsChatId: row.omits_chat_id,
    cursor: Number(row.cursor),
    missed: Number(row.missed),
    state: row.state,
    disabledReason: row.disabled_reason ?? undefined,
    disabledAt: row.disabled_at ?? undefined,
    failingSince: row.failing_since ?? undefined,
    lastSuccessAt: row.last_success_at ?? undefined,
    retries: row.retries,
    lagSeconds: row.lag_seconds,
    previousUntil: row.previous_until ?? undefined,
    createdAt: row.created_at,
  };
}

import type pg from "pg";
import type { WebhookDelivery } from "../../domain/webhooks/webhook-endpoint.ts";
import { toEventId } from "../../domain/webhooks/event-id.ts";
import { toStorableText } from "../postgres/storable-text.ts";

/** A try that is to be remembered. */
export type NewDelivery = Omit<WebhookDelivery, "id" | "eventId"> & {
  readonly endpointId: string;
  readonly contactId: number | undefined;
};

const columns = "endpoint_id, feed_id, contact_id, type, kind, tries, at, took_ms, status, error, answer";

/** As the cells of one row of json_to_recordset: see {@link insertDeliveriesSql}. */
export function toDeliveryCells(delivery: NewDelivery) {
  return {
    endpoint_id: delivery.endpointId,
    feed_id: delivery.feedId,
    contact_id: delivery.contactId,
    type: delivery.type,
    kind: delivery.kind,
    tries: delivery.tries,
    at: delivery.at,
    took_ms: Math.round(delivery.tookMs),
    status: delivery.status,
    error: delivery.error,
    answer: delivery.answer === undefined ? undefined : toStorableText(delivery.answer),
  };
}

/**
 * Inserts deliveries of endpoints that are there.
 * @param cells an expression of type json
 */
export const toInsertDeliveriesSql = (cells: string) => `
insert into avatars.webhook_deliveries (${columns})
select d.* from json_to_recordset(${cells}) as d (endpoint_id text, feed_id bigint, contact_id bigint, type text, kind text,
  tries smallint, at timestamptz, took_ms integer, status integer, error text, answer text)
where exists (select from avatars.webhook_endpoints e where e.id = d.endpoint_id)
  and (d.contact_id is null or exists (select from avatars.contacts c where c.id = d.contact_id))`;

const insertSql = toInsertDeliveriesSql("$1::json");

export async function addDelivery(pool: pg.Pool, delivery: NewDelivery): Promise<void> {
  await pool.query(insertSql, [JSON.stringify([toDeliveryCells(delivery)])]);
}

interface Row {
  readonly id: string;
  readonly feed_id: string | null;
  readonly type: string;
  readonly kind: WebhookDelivery["kind"];
  readonly tries: number;
  readonly at: Date;
  readonly took_ms: number;
  readonly status: number | null;
  readonly error: string | null;
  readonly answer: string | null;
}

const listSql = `
select d.id, d.feed_id, d.type, d.kind, d.tries, d.at, d.took_ms, d.status, d.error, d.answer
from avatars.webhook_deliveries d
where d.endpoint_id = $1 and ($2::bigint is null or d.id < $2) and (not $4 or d.error is not null)
order by d.id desc limit $3`;

/** The last tries of an endpoint, the newest first. */
export async function listDeliveries(
  pool: pg.Pool,
  endpointId: string,
  { before, limit, failedOnly }: DeliveryFilter,
): Promise<WebhookDelivery[]> {
  const { rows } = await pool.query<Row>(listSql, [endpointId, before ?? null, limit, failedOnly]);
  return rows.map((row) => ({
    id: Number(row.id),
    feedId: row.feed_id === null ? undefined : Number(row.feed_id),
    eventId: row.feed_id === null ? `msg_${endpointId}_test` : toEventId(endpointId, Number(row.feed_id)),
    type: row.type,
    kind: row.kind,
    tries: row.tries,
    at: row.at,
    tookMs: row.took_ms,
    status: row.status ?? undefined,
    error: row.error ?? undefined,
    answer: row.answer ?? undefined,
  }));
}

export interface DeliveryFilter {
  /** Only those with lower ids. */
  readonly before: number | undefined;
  readonly limit: number;
  readonly failedOnly: boolean;
}

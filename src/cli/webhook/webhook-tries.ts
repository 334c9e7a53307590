import type { WebhookDelivery } from "../../domain/webhooks/webhook-endpoint.ts";
import { UserError } from "../../lib/errors.ts";
import { formatAge } from "../terminal/format.ts";
import { exitCodes, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { formatTable } from "../terminal/table.ts";
import { withApp } from "../terminal/with-app.ts";
import { noWebhook } from "./webhook.ts";

/** `avatars webhook test`: exit code 1 where it was not taken. */
export async function testWebhook(
  id: string,
  { json }: { readonly json: boolean },
  io: CommandIo,
): Promise<number> {
  let isTaken = false;
  const code = await withApp(io, async (app) => {
    const delivery = await app.webhooks.test(id, app.operator);
    if (delivery === undefined) throw noWebhook(id);
    isTaken = tell(delivery, json, io);
  });
  return isTaken ? code : exitCodes.incomplete;
}

/** Writes how a try went. Returns whether it was taken. */
function tell(delivery: WebhookDelivery, json: boolean, io: CommandIo): boolean {
  const { id: _, ...shown } = delivery;
  if (json) writeJson(io.stdout, shown);
  else {
    const { status, error, tookMs, answer } = delivery;
    const outcome = error === undefined ? "taken" : `not taken: ${error}`;
    const answered = status === undefined ? "no answer" : `answered ${status}`;
    writeLine(io.stdout, `${delivery.type} ${outcome} (${answered} after ${Math.round(tookMs)} ms)`);
    if (answer !== undefined) writeLine(io.stdout, `answer: ${answer}`);
  }
  return delivery.error === undefined;
}

export interface DeliveriesOptions {
  readonly limit: number;
  readonly failed: boolean;
  readonly json: boolean;
}

/** `avatars webhook deliveries` */
export async function listDeliveries(
  id: string,
  { limit, failed: failedOnly, json }: DeliveriesOptions,
  io: CommandIo,
): Promise<number> {
  return withApp(io, async (app) => {
    if ((await app.webhooks.find(id)) === undefined) throw noWebhook(id);
    const deliveries = await app.webhooks.listDeliveries(id, { before: undefined, limit, failedOnly });
    if (json) return writeJson(io.stdout, deliveries);
    if (deliveries.length === 0) return writeLine(io.stdout, "nothing was sent yet");
    const header = ["when", "type", "event", "kind", "try", "status", "took", "outcome"];
    for (const line of formatTable(header, deliveries.map(toRow))) writeLine(io.stdout, line);
  });
}

function toRow({ at, type, feedId, kind, tries, status, tookMs, error }: WebhookDelivery): string[] {
  return [
    `${formatAge(at)} ago`,
    type,
    feedId === undefined ? "" : String(feedId),
    kind,
    String(tries),
    status === undefined ? "" : String(status),
    `${Math.round(tookMs)} ms`,
    error ?? "taken",
  ];
}

export interface ReplayOptions {
  readonly event?: number;
  /** Milliseconds before now. */
  readonly since?: number;
  readonly after?: number;
}

/** `avatars webhook replay` */
export async function replayWebhook(
  id: string,
  { event, since, after }: ReplayOptions,
  io: CommandIo,
): Promise<number> {
  if ([event, since, after].filter((given) => given !== undefined).length !== 1)
    throw new UserError("what-to-replay", "say what to tell again: one of --event, --since and --after");
  if (event !== undefined) return redeliver(id, event, io);
  return withApp(io, async (app) => {
    const to = after === undefined ? { since: new Date(Date.now() - (since ?? 0)) } : { after };
    const cursor = await app.webhooks.replay(id, to, app.operator);
    if (cursor === undefined) throw noWebhook(id);
    writeLine(io.stdout, `webhook ${id} is told again of all behind ${cursor}`);
  });
}

async function redeliver(id: string, feedId: number, io: CommandIo): Promise<number> {
  let isTaken = false;
  const code = await withApp(io, async (app) => {
    if ((await app.webhooks.find(id)) === undefined) throw noWebhook(id);
    const delivery = await app.webhooks.redeliver(id, feedId, app.operator);
    if (delivery === undefined)
      throw new UserError(
        "unknown-event",
        `nothing is left of event ${feedId}, or it is none for this webhook`,
      );
    isTaken = tell(delivery, false, io);
  });
  return isTaken ? code : exitCodes.incomplete;
}

import { assertNever } from "../../lib/errors.ts";
import { toPlainMoment } from "../../lib/plain-moment.ts";
import type { FeedItem } from "./feed-item.ts";

/** The body of a request, before it is JSON. */
export interface WebhookPayload {
  readonly type: string;
  /** ISO 8601, when it happened. */
  readonly timestamp: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** What an endpoint is told of an item: thin, for it can ask for the rest. */
export function toPayload(
  item: FeedItem,
  { omitsChatId }: { readonly omitsChatId: boolean },
): WebhookPayload {
  return { type: item.type, timestamp: toIso(item.at), data: toData(item, omitsChatId) };
}

function toData(item: FeedItem, omitsChatId: boolean): WebhookPayload["data"] {
  switch (item.type) {
    case "avatar.changed":
    case "avatar.removed":
      return {
        changeId: item.id,
        contactId: String(item.contactId),
        ...(!omitsChatId && { chatId: item.chatId }),
        externalRef: item.externalRef ?? null,
        instanceId: item.instanceId,
        status: item.status,
        imageUrl: item.type === "avatar.removed" ? null : toVersionedUrl(item),
        version: item.version ?? null,
        previousVersion: item.previousVersion ?? null,
        seenAt: toIso(item.at),
      };
    case "batch.finished":
      return {
        batchId: item.batchId,
        instanceId: item.instanceId,
        label: item.label ?? null,
        accepted: item.accepted,
        rejected: item.rejected,
        cancelled: item.isCancelled,
      };
    case "instance.held":
      return { instanceId: item.instanceId, reason: item.reason ?? null };
    case "instance.resumed":
      return { instanceId: item.instanceId };
    case "endpoint.disabled":
      return { endpointId: item.endpointId, reason: item.reason ?? null };
    default:
      return assertNever(item);
  }
}

/** A receiver may keep it for as long as the version stays. */
function toVersionedUrl(item: {
  imageUrl: string | undefined;
  imageSha256: string | undefined;
}): string | null {
  if (item.imageUrl === undefined) return null;
  return item.imageSha256 === undefined
    ? item.imageUrl
    : `${item.imageUrl}?v=${item.imageSha256.slice(0, 16)}`;
}

function toIso(moment: Date): string {
  return toPlainMoment(moment).toISOString();
}

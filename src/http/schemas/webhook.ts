import { z } from "zod";
import type { WebhookDelivery, WebhookEndpoint } from "../../domain/webhooks/webhook-endpoint.ts";
import { webhookTypes } from "../../domain/webhooks/webhook-type.ts";
import {
  flagQuery,
  httpUrl,
  instanceIdInput,
  instanceIdOutput,
  moment,
  orNull,
  pageQuery,
  storableText,
} from "./common.ts";

const endpointId = z
  .string()
  .regex(/^[0-9a-z]{12}$/)
  .meta({ description: "The id of an endpoint: 12 characters.", examples: ["0a1b2c3d4e5f"] });

export const webhookParams = z.object({ id: endpointId });

const url = httpUrl.meta({
  description:
    "Where events are sent: https at a public address. Plain http and private addresses only in networks that the operator named.",
  examples: ["https://crm.example/hooks/avatars"],
});
const types = z
  .array(z.enum(webhookTypes))
  .min(1)
  .max(webhookTypes.length)
  .transform((given) => [...new Set(given)])
  .meta({ description: "What it is told of." });
const instanceIds = z
  .array(instanceIdInput)
  .min(1)
  .max(1000)
  .nullable()
  .meta({ description: "Only of these instances; null: of all, also those to come." });
const include = z
  .array(z.enum(["first-seen"]))
  .max(1)
  .meta({ description: "`first-seen`: the first picture that is ever seen of a contact is told, too." });
const ordered = z.boolean().meta({
  description:
    "True: an event that fails holds those behind it. False: it is tried again while the others go on.",
});
const omitChatId = z.boolean().meta({ description: "True: events do not hold the chat id." });
const label = storableText(200).nullable();

export const newWebhookSchema = z
  .strictObject({
    url,
    label: label.optional(),
    types: types.default([...webhookTypes]).meta({ description: "What it is told of; all by default." }),
    instanceIds: instanceIds.default(null),
    include: include.default([]),
    ordered: ordered.default(false),
    omitChatId: omitChatId.default(false),
  })
  .meta({ id: "NewWebhook" });

export const webhookChangesSchema = z
  .strictObject({
    url: url.optional(),
    label: label.optional(),
    types: types.optional(),
    instanceIds: instanceIds.optional(),
    include: include.optional(),
    ordered: ordered.optional(),
    omitChatId: omitChatId.optional(),
  })
  .meta({ id: "WebhookChanges" });

const webhookFields = {
  id: z.string(),
  url: z.string(),
  label: z.string().nullable(),
  types: z.array(z.enum(webhookTypes)),
  instanceIds: z.array(instanceIdOutput).nullable(),
  include: z.array(z.enum(["first-seen"])),
  ordered: z.boolean(),
  omitChatId: z.boolean(),
  state: z.enum(["active", "disabled"]),
  disabledReason: z.enum(["gone", "failing", "operator"]).nullable().meta({
    description:
      "`gone`: it answered 410. `failing`: five days without a success. `operator`: it was turned off.",
  }),
  disabledAt: moment.nullable(),
  failingSince: moment
    .nullable()
    .meta({ description: "Since when no event was taken, though some were sent; null: the last one was." }),
  lastSuccessAt: moment.nullable(),
  cursor: z.int().meta({ description: "The place in the feed up to which it was told; see `changeId`." }),
  lagSeconds: z
    .number()
    .meta({ description: "The age of the oldest thing it has not been told of; 0: none." }),
  retries: z.int().meta({ description: "Events that wait for another try, counted up to 10000." }),
  missed: z.int().meta({
    description: "Changes that retention has removed before they were sent (AVATARS_KEEP_CHANGES).",
  }),
  previousSecretUntil: moment
    .nullable()
    .meta({ description: "Until then the secret before the last rotation signs too." }),
  createdAt: moment,
};

export const webhookSchema = z.object(webhookFields).meta({ id: "Webhook" });
export const addedWebhookSchema = z
  .object({
    ...webhookFields,
    secret: z
      .string()
      .meta({ description: "What requests are signed with. It is shown this once, and never again." }),
  })
  .meta({ id: "AddedWebhook" });
export const webhookListSchema = z.object({ items: z.array(webhookSchema) }).meta({ id: "Webhooks" });

export const deliverySchema = z
  .object({
    id: z.int().nullable().meta({ description: "Its place in the list; null: it is being told only here." }),
    eventId: z.string().meta({ description: "The `webhook-id`: the same for all tries of an event." }),
    feedId: z
      .int()
      .nullable()
      .meta({ description: "The event's place in the feed, for a redelivery; null: a test." }),
    type: z.string(),
    kind: z.enum(["event", "retry", "test", "redelivery"]),
    tries: z.int().meta({ description: "Tries of the event, with this one." }),
    at: moment,
    tookMs: z.int(),
    status: z.int().nullable().meta({ description: "The HTTP status; null: there was no answer." }),
    error: z.string().nullable().meta({
      description:
        "Null: it was taken. `refused` (a status that is no success), `gone`, `redirect`, `timeout`, `private-address`, or a code of the network.",
    }),
    answer: z
      .string()
      .nullable()
      .meta({ description: "The beginning of the answer, up to 1 kB, without secrets and ids of people." }),
  })
  .meta({ id: "WebhookDelivery" });
export const deliveryQuery = pageQuery.extend({
  failed: flagQuery.optional().meta({ description: "`true`: only tries that failed." }),
});
export const deliveryListSchema = z
  .object({
    items: z.array(deliverySchema),
    next: z.string().nullable().meta({ description: "Where the next page begins; null: this was the last." }),
  })
  .meta({ id: "WebhookDeliveries" });

const feedPlace = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const replaySchema = z
  .union([
    z.strictObject({
      since: moment.meta({ description: "All that was seen at or after this moment is told again." }),
    }),
    z.strictObject({
      after: feedPlace.meta({
        description: "All behind this place in the feed (a `changeId`) is told again.",
      }),
    }),
  ])
  .meta({ id: "WebhookReplay" });
export const replayedSchema = z
  .object({ cursor: z.int().meta({ description: "Where it reads on. A replay never moves it forward." }) })
  .meta({ id: "WebhookReplayed" });
export const redeliverySchema = z.strictObject({ feedId: feedPlace }).meta({ id: "WebhookRedelivery" });
export const enableSchema = z
  .strictObject({
    from: z.enum(["stopped", "now"]).meta({
      description:
        "`stopped`: it is told of all that it has not been told yet. `now`: only of what comes from now on.",
    }),
  })
  .meta({ id: "WebhookEnabling" });
export const rotatedSchema = z
  .object({
    secret: z.string().meta({ description: "The new secret. It is shown this once, and never again." }),
    previousSecretUntil: moment.meta({ description: "Until then the one before signs too." }),
  })
  .meta({ id: "WebhookRotated" });
export const callbackSecretSchema = z
  .object({ secret: z.string().meta({ description: "The same as long as the key is." }) })
  .meta({ id: "CallbackSecret" });

/** The settings of a body by the names that the rest of the program has for them. */
export function toSettings<Body extends z.output<typeof webhookChangesSchema>>(body: Body) {
  const { include: included, ordered: isOrdered, omitChatId: omitsChatId, ...others } = body;
  return {
    ...others,
    ...(included !== undefined && { includesFirstSeen: included.includes("first-seen") }),
    ...(isOrdered !== undefined && { isOrdered }),
    ...(omitsChatId !== undefined && { omitsChatId }),
  };
}

/** The endpoint as the wire has it: field by field, so that no secret ever comes along. */
export function toWebhook(endpoint: WebhookEndpoint): z.output<typeof webhookSchema> {
  return {
    id: endpoint.id,
    url: endpoint.url,
    label: orNull(endpoint.label),
    types: [...endpoint.types],
    instanceIds: endpoint.instanceIds === undefined ? null : [...endpoint.instanceIds],
    include: endpoint.includesFirstSeen ? ["first-seen"] : [],
    ordered: endpoint.isOrdered,
    omitChatId: endpoint.omitsChatId,
    state: endpoint.state,
    disabledReason: orNull(endpoint.disabledReason),
    disabledAt: orNull(endpoint.disabledAt),
    failingSince: orNull(endpoint.failingSince),
    lastSuccessAt: orNull(endpoint.lastSuccessAt),
    cursor: endpoint.cursor,
    lagSeconds: Math.round(endpoint.lagSeconds * 1000) / 1000,
    retries: endpoint.retries,
    missed: endpoint.missed,
    previousSecretUntil: orNull(endpoint.previousUntil),
    createdAt: endpoint.createdAt,
  };
}

export function toDelivery(delivery: WebhookDelivery): z.output<typeof deliverySchema> {
  return {
    id: delivery.id === 0 ? null : delivery.id,
    eventId: delivery.eventId,
    feedId: orNull(delivery.feedId),
    type: delivery.type,
    kind: delivery.kind,
    tries: delivery.tries,
    at: delivery.at,
    tookMs: Math.round(delivery.tookMs),
    status: orNull(delivery.status),
    error: orNull(delivery.error),
    answer: orNull(delivery.answer),
  };
}

import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";
import { listPersonal, toContactId, type FeedItem } from "../../domain/webhooks/feed-item.ts";
import { toEventId } from "../../domain/webhooks/event-id.ts";
import { toPayload } from "../../domain/webhooks/to-payload.ts";
import type {
  EndpointSettings,
  EndpointWish,
  ResumeFrom,
  WebhookDelivery,
  WebhookEndpoint,
} from "../../domain/webhooks/webhook-endpoint.ts";
import { once } from "../../lib/closing/once.ts";
import { createApiToken } from "../../lib/secrets/api-token.ts";
import { createWebhookSecret, deriveCallbackSecret } from "../../lib/secrets/webhook-secret.ts";
import { readVersion } from "../../lib/version.ts";
import { createAuditStore } from "../../store/audit/audit-store.ts";
import { createChangeHorizon } from "../../store/changes/change-horizon.ts";
import {
  addDelivery,
  listDeliveries,
  type DeliveryFilter,
  type NewDelivery,
} from "../../store/webhooks/delivery-store.ts";
import type { EndpointAdded } from "../../store/webhooks/add-endpoint.ts";
import type { SealedSecrets } from "../../store/webhooks/endpoint-secrets.ts";
import {
  createEndpointStore,
  type EndpointStore,
  type RewindTo,
} from "../../store/webhooks/endpoint-store.ts";
import { findFeedItems } from "../../store/webhooks/read-feed.ts";
import type { OutgoingEvent, SendResult, WebhookSender } from "../../webhooks/create-sender.ts";
import { explainRefusal, judgeWebhookUrl } from "../../webhooks/judge-url.ts";
import type { Door } from "./door.ts";

/** Webhooks as people and programs steer them. What is sent by itself: app/tasks/webhook-sending.ts. */
export interface Webhooks extends Pick<EndpointStore, "list" | "find" | "remove" | "disable"> {
  /**
   * Adds an endpoint, which is told of what comes from now on. Returns its secret, which is shown this once.
   * @param within the instances that the key of the caller is limited to: such callers share the room there is
   * @throws UserError `webhook-url`, `too-many-webhooks`, `no-secret-key`
   */
  add(
    settings: EndpointSettings,
    by: Actor,
    within?: readonly InstanceId[],
  ): Promise<{ readonly id: string; readonly secret: string }>;
  /** Changes what is given; null takes it away. False: there is none. @throws UserError `webhook-url`, `wrong-secret-key` */
  change(id: string, changes: EndpointWish, by: Actor): Promise<boolean>;
  enable(id: string, from: ResumeFrom, by: Actor): Promise<boolean>;
  /** Sets its cursor back, so that it is told again. Returns the cursor; undefined: there is no such endpoint. */
  replay(id: string, to: RewindTo, by: Actor): Promise<number | undefined>;
  /** Sends one event of the feed again, once. Undefined: there is no such endpoint, or nothing is left of the event. */
  redeliver(id: string, feedId: number, by: Actor): Promise<WebhookDelivery | undefined>;
  /** Sends an event of the type `webhook.test`, once. */
  test(id: string, by: Actor): Promise<WebhookDelivery | undefined>;
  /** A new secret; the one before signs too for a day. */
  rotate(
    id: string,
    by: Actor,
  ): Promise<{ readonly secret: string; readonly previousUntil: Date } | undefined>;
  /** The last tries, the newest first. */
  listDeliveries(id: string, filter: DeliveryFilter): Promise<WebhookDelivery[]>;
  /** The secret that callbacks of the key's batches are signed with. @throws UserError `no-secret-key` */
  toCallbackSecret(apiKeyId: string): string;
}

const mostEndpoints = 100;
/** Of those that are told of no other instances than a key is limited to: one such key leaves room for others. */
const mostWithin = 20;
const previousForMs = 86_400_000;

export function createWebhooks(door: Door): Webhooks {
  const { pool } = door.quick;
  const store = createEndpointStore(pool);
  const horizon = createChangeHorizon(pool, { shareMs: 0, lockTimeoutMs: 2_000, restMs: 0 });
  return {
    list: store.list,
    find: store.find,
    remove: store.remove,
    disable: store.disable,
    async add(settings, by, instanceIds) {
      assertUrl(door, settings.url);
      const { id } = createApiToken();
      const secret = createWebhookSecret();
      const sealedSecret = door.secrets().seal(secret, toContext(id, settings.url));
      const added = await store.add(
        { id, settings, sealedSecret, cursor: await horizon.read() },
        { total: mostEndpoints, within: instanceIds && { instanceIds, most: mostWithin } },
        by,
      );
      if (added !== "added") throw tooMany(added);
      return { id, secret };
    },
    change: (id, wish, by) => changeEndpoint(door, store, id, wish, by),
    enable: async (id, from, by) => store.enable(id, from, from === "now" ? await horizon.read() : 0, by),
    replay: (id, to, by) => createEndpointStore(door.lasting.pool).rewind(id, to, by),
    async rotate(id, by) {
      const secret = createWebhookSecret();
      const seal = (url: string) => door.secrets().seal(secret, toContext(id, url));
      const previousUntil = await store.rotate(id, seal, previousForMs, by);
      return previousUntil && { secret, previousUntil };
    },
    listDeliveries: (id, filter) => listDeliveries(pool, id, filter),
    toCallbackSecret: (apiKeyId) => deriveCallbackSecret(door.secretKey(), apiKeyId),
    ...createSingleSends(door, store),
  };
}

function createSingleSends(door: Door, store: EndpointStore): Pick<Webhooks, "test" | "redeliver"> {
  const { pool } = door.quick;
  const getSender = once(() => openSender(door));
  const audit = createAuditStore(door.quick);

  /** Touches no counter: it is not tried again, and disables nothing. */
  async function sendOnce(endpoint: WebhookEndpoint, event: SingleEvent): Promise<WebhookDelivery> {
    const stored = await store.findSecrets(endpoint.id);
    const secrets = stored ? openAll(door.secrets(), endpoint.id, stored) : [];
    const sender = await getSender();
    const { personal, item, eventId, type, kind, body } = event;
    const sent =
      stored === undefined || secrets.length === 0
        ? unsent()
        : await sender.send({ url: stored.url, secrets, id: eventId, body, personal });
    const delivery: NewDelivery = {
      ...toDeliveryFields(sent),
      endpointId: endpoint.id,
      feedId: item?.id,
      contactId: item && toContactId(item),
      type,
      kind,
      tries: 1,
    };
    await addDelivery(pool, delivery);
    return { ...toDeliveryFields(sent), id: 0, feedId: item?.id, eventId, type, kind, tries: 1 };
  }

  return {
    async test(id, by) {
      const endpoint = await store.find(id);
      if (endpoint === undefined) return undefined;
      await audit.record(by, { action: "webhook.tested", subjectId: id });
      const payload = { type: "webhook.test", timestamp: new Date().toISOString(), data: { endpointId: id } };
      const eventId = `msg_${id}_test${Date.now()}`;
      return sendOnce(endpoint, {
        eventId,
        type: payload.type,
        kind: "test",
        body: JSON.stringify(payload),
        personal: [],
        item: undefined,
      });
    },
    async redeliver(id, feedId, by) {
      const endpoint = await store.find(id);
      const item = endpoint && (await findFeedItems(pool, [feedId])).get(feedId);
      if (endpoint === undefined || item === undefined || !maySee(endpoint, item)) return undefined;
      await audit.record(by, { action: "webhook.redelivered", subjectId: id, detail: { feedId } });
      return sendOnce(endpoint, {
        eventId: toEventId(id, feedId),
        type: item.type,
        kind: "redelivery",
        body: JSON.stringify(toPayload(item, endpoint)),
        personal: listPersonal(item),
        item,
      });
    },
  };
}

interface SingleEvent extends Pick<OutgoingEvent, "body" | "personal"> {
  readonly eventId: string;
  readonly type: string;
  readonly kind: "test" | "redelivery";
  readonly item: FeedItem | undefined;
}

function maySee({ instanceIds }: WebhookEndpoint, { instanceId }: FeedItem): boolean {
  return instanceIds === undefined || (instanceId !== undefined && instanceIds.includes(instanceId));
}

function toDeliveryFields({ at, tookMs, status, error, answer }: SendResult) {
  return { at, tookMs, status, error, answer };
}

/** AVATARS_SECRET_KEY is another one than the secret was sealed with. */
function unsent(): SendResult {
  const nothing = { status: undefined, answer: undefined, retryAfterMs: undefined };
  return { at: new Date(), tookMs: 0, error: "wrong-secret-key", ...nothing };
}

async function openSender({ config }: Pick<Door, "config">): Promise<WebhookSender> {
  const { createWebhookSender } = await import("../../webhooks/create-sender.ts");
  return createWebhookSender({
    networks: config.webhooks.networks,
    userAgent: `contact-avatars/${readVersion()}`,
  });
}

/** Its secrets in clear, the newest first; none where they cannot be opened. */
function openAll(
  box: ReturnType<Door["secrets"]>,
  id: string,
  { url, sealedSecret, sealedPrevious }: SealedSecrets,
): string[] {
  return [sealedSecret, sealedPrevious].flatMap((sealed) =>
    sealed === undefined ? [] : (box.open(sealed, toContext(id, url)) ?? []),
  );
}

/** Secrets go along to another URL: the same receiver has moved, and signs with what it knows. */
async function changeEndpoint(
  door: Door,
  store: EndpointStore,
  id: string,
  wish: EndpointWish,
  by: Actor,
): Promise<boolean> {
  const { url } = wish;
  if (url === undefined) return store.change(id, wish, undefined, by);
  assertUrl(door, url);
  return store.change(id, wish, (stored) => sealAnew(door, id, stored, url), by);
}

function sealAnew(
  { secrets }: Pick<Door, "secrets">,
  id: string,
  stored: SealedSecrets,
  url: string,
): Pick<SealedSecrets, "sealedSecret" | "sealedPrevious"> {
  const [current, previous] = openAll(secrets(), id, stored).map((secret) =>
    secrets().seal(secret, toContext(id, url)),
  );
  if (current === undefined) throw unreadable();
  return { sealedSecret: current, sealedPrevious: previous };
}

export function toContext(id: string, url: string) {
  return { id: `webhook ${id}`, apiUrl: url };
}

function assertUrl({ config }: Pick<Door, "config">, url: string): void {
  const verdict = judgeWebhookUrl(url, config.webhooks.networks);
  if (verdict.kind === "refused")
    throw new UserError("webhook-url", `this URL cannot be used: ${explainRefusal(verdict.reason)}`);
}

function tooMany(reached: Exclude<EndpointAdded, "added">): UserError {
  return new UserError(
    "too-many-webhooks",
    reached === "within"
      ? `there are ${mostWithin} endpoints of the instances of this key, which is as many as there may be: remove one first`
      : `there are ${mostEndpoints} endpoints, which is as many as there may be: remove one first`,
  );
}

function unreadable(): UserError {
  return new UserError(
    "wrong-secret-key",
    "AVATARS_SECRET_KEY does not open the secret of this endpoint: start with the key it was stored with, or rotate it",
  );
}

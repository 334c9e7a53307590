import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { findSample, parseMetrics } from "../support/scrape.ts";
import { openReceiver } from "../support/webhook-receiver.ts";
import {
  instanceId,
  openWebhookStage,
  type TestSending,
  type WebhookStage,
} from "../support/webhook-stage.ts";

let stage: WebhookStage;
let sending: TestSending;
let chats = 0;
let chatId = "";

beforeAll(async () => {
  stage = await openWebhookStage();
  sending = await stage.startSending();
});
afterAll(() => stage.close());
beforeEach(async () => {
  await stage.database.pool.query("delete from avatars.webhook_endpoints");
  chatId = nextChat();
});

function nextChat(): string {
  chats += 1;
  return `7900${String(chats).padStart(7, "0")}@c.us`;
}

/** A contact whose picture is known. */
async function addKnown(): Promise<string> {
  const chat = nextChat();
  await stage.setVersion(chat, "first");
  return chat;
}

describe("an endpoint", () => {
  test("is told of a new picture, signed by Standard Webhooks", async () => {
    const endpoint = await stage.addEndpoint();
    const contactId = await stage.setVersion(chatId, "one");
    await stage.setVersion(chatId, "two");
    const [got] = await eventually(() => {
      expect(endpoint.received).toHaveLength(1);
      return endpoint.received;
    });
    const { headers, body } = got!;
    expect(new Webhook(endpoint.secret).verify(body, headers)).toMatchObject({
      type: "avatar.changed",
      data: {
        contactId: String(contactId),
        chatId,
        externalRef: `crm-${chatId}`,
        instanceId,
        status: "present",
        version: "two",
        previousVersion: "one",
      },
    });
    expect(headers["webhook-id"]).toBe(`msg_${endpoint.id}_${String(got?.data["changeId"])}`);
    await eventually(async () =>
      expect(await stage.show(endpoint.id)).toMatchObject({ failingSince: null, lagSeconds: 0, retries: 0 }),
    );
  });

  test("is told of first pictures only where it asks for them, and of its instances alone", async () => {
    const all = await stage.addEndpoint({ include: ["first-seen"] });
    const other = await stage.addEndpoint({ include: ["first-seen"], instanceIds: ["1101000777"] });
    const usual = await stage.addEndpoint();
    await stage.setVersion(chatId, "one");
    await eventually(() => expect(all.received).toMatchObject([{ data: { previousVersion: null } }]));
    await stage.setVersion(chatId, null);
    await eventually(() => expect(all.received).toHaveLength(2));
    await eventually(() => expect(usual.received).toMatchObject([{ type: "avatar.removed" }]));
    expect(usual.received[0]?.data).toMatchObject({ imageUrl: null, version: null, previousVersion: "one" });
    expect(other.received).toEqual([]);
  });

  test("is not told the chat id where it shall not", async () => {
    const endpoint = await stage.addEndpoint({ omitChatId: true });
    const known = await addKnown();
    await stage.setVersion(known, "two");
    await eventually(() => expect(endpoint.received).toHaveLength(1));
    expect(endpoint.received[0]?.data).not.toHaveProperty("chatId");
  });

  test("is told of several changes of a contact as the last one", async () => {
    await sending.stop();
    const endpoint = await stage.addEndpoint();
    const known = await addKnown();
    for (const version of ["two", "three", "four"]) await stage.setVersion(known, version);
    sending = await stage.startSending();
    await eventually(() => expect(endpoint.received).toHaveLength(1));
    expect(endpoint.received[0]?.data).toMatchObject({ version: "four", previousVersion: "first" });
  });

  test("that fails with one event is told of the others, and of that one later with the same id", async () => {
    const endpoint = await stage.addEndpoint();
    const [bad, good] = [await addKnown(), await addKnown()];
    endpoint.answer(({ data }) => (data["chatId"] === bad ? 500 : 204));
    await stage.setVersion(bad, "two");
    await stage.setVersion(good, "two");
    await eventually(() => expect(endpoint.taken()).toHaveLength(1));
    await eventually(async () => expect(await stage.show(endpoint.id)).toMatchObject({ retries: 1 }));
    endpoint.answer(() => 204);
    await stage.hurryRetries();
    await eventually(() => expect(endpoint.taken()).toHaveLength(2));
    const ofBad = endpoint.received.filter(({ data }) => data["chatId"] === bad);
    expect(new Set(ofBad.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
    await eventually(async () =>
      expect(await stage.show(endpoint.id)).toMatchObject({ retries: 0, failingSince: null }),
    );
    const { items } = (await stage.call(`/v1/webhooks/${endpoint.id}/deliveries`)).json();
    expect(items).toMatchObject([
      { kind: "retry", tries: 2, status: 204, error: null },
      expect.anything(),
      expect.anything(),
    ]);
    expect((items as { error: string }[]).filter(({ error }) => error === "refused")).toHaveLength(1);
  });

  test("in order stands at an event that fails, until it is taken", async () => {
    const endpoint = await stage.addEndpoint({ ordered: true });
    const [first, second] = [await addKnown(), await addKnown()];
    let isUp = false;
    endpoint.answer(({ data }) => (data["chatId"] === first && !isUp ? 500 : 204));
    await stage.setVersion(first, "two");
    await stage.setVersion(second, "two");
    await eventually(() => expect(endpoint.received).toHaveLength(1));
    await eventually(async () => expect(await stage.show(endpoint.id)).toMatchObject({ retries: 0 }));
    isUp = true;
    await eventually(() =>
      expect(endpoint.taken().map(({ data }) => data["chatId"])).toEqual([first, second]),
    );
  });

  test("that is gone is disabled, which others are told, and goes on from where it stopped", async () => {
    const endpoint = await stage.addEndpoint();
    const other = await stage.addEndpoint({ types: ["endpoint.disabled"] });
    const known = await addKnown();
    endpoint.answer(() => 410);
    await stage.setVersion(known, "two");
    await eventually(() =>
      expect(other.received).toMatchObject([
        { type: "endpoint.disabled", data: { endpointId: endpoint.id, reason: "gone" } },
      ]),
    );
    expect(await stage.show(endpoint.id)).toMatchObject({ state: "disabled", disabledReason: "gone" });
    await stage.setVersion(known, "three");
    endpoint.answer(() => 204);
    await stage.post(`/v1/webhooks/${endpoint.id}/enable`, { from: "stopped" });
    await eventually(() => expect(endpoint.taken()).toHaveLength(1));
    expect(endpoint.taken()[0]?.data).toMatchObject({ version: "three", previousVersion: "first" });
  });

  test("turned on from now is told of nothing that was before", async () => {
    const endpoint = await stage.addEndpoint();
    await stage.post(`/v1/webhooks/${endpoint.id}/disable`);
    const [before, after] = [await addKnown(), await addKnown()];
    await stage.setVersion(before, "two");
    await stage.post(`/v1/webhooks/${endpoint.id}/enable`, { from: "now" });
    await stage.setVersion(after, "two");
    await eventually(() => expect(endpoint.received).toMatchObject([{ data: { chatId: after } }]));
  });

  test("without a success for five days is disabled", async () => {
    const endpoint = await stage.addEndpoint();
    endpoint.answer(() => 503);
    await stage.database.pool.query(
      `update avatars.webhook_endpoints set failing_since = now() - interval '6 days', lease_owner = null,
        lease_epoch = lease_epoch + 1 where id = $1`,
      [endpoint.id],
    );
    await stage.setVersion(await addKnown(), "two");
    await eventually(async () =>
      expect(await stage.show(endpoint.id)).toMatchObject({ state: "disabled", disabledReason: "failing" }),
    );
  });

  test("is told again by a replay, and of one event by a redelivery, which no counter knows of", async () => {
    const endpoint = await stage.addEndpoint();
    const known = await addKnown();
    await stage.setVersion(known, "two");
    const [got] = await eventually(() => {
      expect(endpoint.received).toHaveLength(1);
      return endpoint.received;
    });
    const changeId = Number(got?.data["changeId"]);
    await stage.post(`/v1/webhooks/${endpoint.id}/replay`, { after: changeId - 1 });
    await eventually(() => expect(endpoint.received).toHaveLength(2));
    endpoint.answer(() => 500);
    const delivery = await stage.post(`/v1/webhooks/${endpoint.id}/redeliver`, { feedId: changeId });
    expect(delivery).toMatchObject({ kind: "redelivery", status: 500, error: "refused" });
    expect(await stage.post(`/v1/webhooks/${endpoint.id}/test`)).toMatchObject({
      type: "webhook.test",
      status: 500,
    });
    expect(await stage.show(endpoint.id)).toMatchObject({ failingSince: null, retries: 0, state: "active" });
    expect(new Set(endpoint.received.slice(0, 3).map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  });

  test("may rotate its secret: both sign", async () => {
    const endpoint = await stage.addEndpoint();
    const { secret } = await stage.post(`/v1/webhooks/${endpoint.id}/rotate`);
    await stage.setVersion(await addKnown(), "two");
    await eventually(() => expect(endpoint.received).toHaveLength(1));
    const { body, headers } = endpoint.received[0]!;
    for (const one of [endpoint.secret, String(secret)]) new Webhook(one).verify(body, headers);
    expect(() => new Webhook(`whsec_${Buffer.alloc(32).toString("base64")}`).verify(body, headers)).toThrow(
      "No matching signature",
    );
  });

  test("that moves while its secret is rotated signs with the one that was shown", async () => {
    const endpoint = await stage.addEndpoint();
    const path = `/v1/webhooks/${endpoint.id}`;
    for (let round = 0; round < 6; round += 1) {
      const url = new URL(`/moved/${round}`, endpoint.url);
      // Secrets are sealed for the origin.
      if (round % 2 === 0) url.hostname = "127.0.0.2";
      const change = () => stage.call(path, { method: "PATCH", json: { url: url.href } });
      const rotate = () => stage.post(`${path}/rotate`);
      const [, { secret }] = await Promise.all([change(), rotate(), change()]);
      await stage.call(path, { method: "PATCH", json: { url: endpoint.url } });
      expect(await stage.post(`${path}/test`)).toMatchObject({ status: 204 });
      const { body, headers } = endpoint.received.at(-1)!;
      expect(new Webhook(String(secret)).verify(body, headers)).toMatchObject({ type: "webhook.test" });
    }
  });
});

const addOne = (key?: string) =>
  stage.call("/v1/webhooks", {
    method: "POST",
    json: { url: "https://crm.example/hook", ...(key !== undefined && { instanceIds: [instanceId] }) },
    ...(key !== undefined && { key }),
  });
async function addMany(count: number, key?: string): Promise<number[]> {
  const answers = await Promise.all(Array.from({ length: count }, () => addOne(key)));
  return answers.map(({ status }) => status).toSorted((a, b) => a - b);
}
const fill = (count: number) =>
  stage.database.pool.query(
    `insert into avatars.webhook_endpoints (id, url, types, sealed_secret, cursor)
     select 'full' || lpad(n::text, 8, '0'), 'https://crm.example/hook', '{avatar.changed}', 'none', 0
     from generate_series(1, $1::int) n`,
    [count],
  );

describe("the room for endpoints", () => {
  test("is not overrun by many that come at once", async () => {
    await fill(97);
    expect(await addMany(30)).toEqual([201, 201, 201, ...Array(27).fill(409)]);
  });

  test("is not all taken by a key that is limited to some instances", async () => {
    const key = await stage.createKey({ scopes: ["webhooks"], instanceIds: [instanceId] });
    await fill(2);
    expect(await addMany(22, key)).toEqual([...Array(20).fill(201), 409, 409]);
    expect((await addOne(key)).text).toContain("20 endpoints of the instances of this key");
    expect((await addOne()).status).toBe(201);
  });
});

describe("events", () => {
  test("tell of holds, of their end, and of batches", async () => {
    const endpoint = await stage.addEndpoint({
      types: ["instance.held", "instance.resumed", "batch.finished"],
    });
    const { pool } = stage.database;
    await pool.query(
      "update avatars.instances set state = 'held', held_reason = 'logged-out', held_since = now() where id = $1",
      [instanceId],
    );
    await pool.query("update avatars.instances set state = 'active', held_reason = null where id = $1", [
      instanceId,
    ]);
    const callback = await openReceiver();
    try {
      const { rows } = await pool.query<{ id: string }>(
        `insert into avatars.batches (instance_id, source, fresh_after, callback_url, api_key_id, completed_intake_at)
         values ($1, 'api', now(), $2, 'some-key', now()) returning id`,
        [instanceId, callback.url],
      );
      await pool.query("update avatars.batches set finished_at = now() where id = $1", [rows[0]?.id]);
      await eventually(() =>
        expect(endpoint.received.map(({ type, data }) => [type, data["reason"] ?? data["batchId"]])).toEqual([
          ["instance.held", "logged-out"],
          ["instance.resumed", undefined],
          ["batch.finished", rows[0]?.id],
        ]),
      );
      await eventually(() =>
        expect(callback.received).toMatchObject([{ type: "batch.finished", data: { batchId: rows[0]?.id } }]),
      );
    } finally {
      await callback.close();
    }
  });

  test("of a batch go to its callback, signed with the secret of the API key that asked", async () => {
    const callback = await openReceiver();
    try {
      const { secret } = (await stage.call("/v1/callback-secret")).json();
      const { id } = await stage.post("/v1/batches", {
        instanceId,
        chatIds: [chatId],
        callbackUrl: callback.url,
      });
      await stage.post(`/v1/batches/${String(id)}/cancel`);
      await eventually(() => expect(callback.received).toHaveLength(1));
      const { body, headers } = callback.received[0]!;
      expect(new Webhook(String(secret)).verify(body, headers)).toMatchObject({
        data: { batchId: id, cancelled: true, accepted: 1 },
      });
      await eventually(async () => {
        const { rowCount } = await stage.database.pool.query("select from avatars.webhook_retries");
        expect(rowCount).toBe(0);
      });
    } finally {
      await callback.close();
    }
  });
});

describe("an erased contact", () => {
  test("is told to no endpoint any more: its retries and what was answered go with it", async () => {
    const endpoint = await stage.addEndpoint();
    const known = await addKnown();
    endpoint.answer((_, response) => {
      response.writeHead(500).end(`no ${known} here`);
      return Promise.resolve(500);
    });
    await stage.setVersion(known, "two");
    await eventually(async () => expect(await stage.show(endpoint.id)).toMatchObject({ retries: 1 }));
    const { text } = await stage.call(`/v1/webhooks/${endpoint.id}/deliveries`);
    expect(text).toContain("no ••• here");
    await stage.call(`/v1/instances/${instanceId}/contacts/${known}`, { method: "DELETE" });
    expect(await stage.show(endpoint.id)).toMatchObject({ retries: 0 });
    expect((await stage.call(`/v1/webhooks/${endpoint.id}/deliveries`)).json()).toMatchObject({ items: [] });
    const before = endpoint.received.length;
    endpoint.answer(() => 204);
    await stage.post(`/v1/webhooks/${endpoint.id}/replay`, { after: 0 });
    const other = await addKnown();
    await stage.setVersion(other, "two");
    await eventually(() =>
      expect(endpoint.received.slice(before).map(({ data }) => data["chatId"])).toContain(other),
    );
    expect(endpoint.received.slice(before).map(({ data }) => data["chatId"])).not.toContain(known);
  });
});

test("an endpoint that hangs delays no other", async () => {
  const hanging = await stage.addEndpoint();
  const healthy = await stage.addEndpoint();
  hanging.answer(
    () =>
      new Promise(() => {
        // Never.
      }),
  );
  const contacts = Array.from({ length: 60 }, nextChat);
  for (const chat of contacts) await stage.setVersion(chat, "first");
  for (const chat of contacts) await stage.setVersion(chat, "second");
  await eventually(() => expect(healthy.taken()).toHaveLength(60));
  expect(hanging.taken()).toEqual([]);
});

test("a place behind what retention has removed counts what was missed, and metrics tell how far behind it is", async () => {
  const endpoint = await stage.addEndpoint();
  await stage.post(`/v1/webhooks/${endpoint.id}/disable`);
  const chat = nextChat();
  for (const version of ["first", "second", "third"]) await stage.setVersion(chat, version);
  const { createChangeRemover } = await import("../../src/store/retention/remove-old-changes.ts");
  const { pool } = stage.database;
  await pool.query("update avatars.avatar_changes set seen_at = now() - interval '2 days'");
  const client = await pool.connect();
  try {
    await createChangeRemover(86_400_000)(client);
  } finally {
    client.release();
  }
  expect(await stage.show(endpoint.id)).toMatchObject({ missed: 3 });
  const late = nextChat();
  for (const version of ["first", "second"]) await stage.setVersion(late, version);
  await pool.query("update avatars.avatar_changes set seen_at = now() - interval '2 hours'");
  await pool.query(
    `insert into avatars.webhook_retries (endpoint_id, feed_id, contact_id, tries, next_try_at)
     select $1, max(id), max(contact_id), 1, now() from avatars.avatar_changes`,
    [endpoint.id],
  );
  // Each process shows it: it is read from the tables.
  const api = await stage.serve();
  const samples = parseMetrics((await api.call("/metrics")).text);
  await api.stop();
  const read = (name: string) => findSample(samples, `avatars_webhook_${name}`, { endpoint: endpoint.id });
  expect(["active", "missed", "retries", "failing_seconds"].map(read)).toEqual([0, 3, 1, 0]);
  expect(read("lag_seconds")).toBeGreaterThan(7_000);
});

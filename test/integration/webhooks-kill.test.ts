import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { Received } from "../support/webhook-receiver.ts";
import { instanceId, openWebhookStage, type WebhookStage } from "../support/webhook-stage.ts";

let stage: WebhookStage;

beforeAll(async () => {
  stage = await openWebhookStage();
});
afterAll(() => stage.close());

const toChat = (number: number) => `7911${String(number).padStart(7, "0")}@c.us`;

/** As ten seconds do: the leases of a process that is gone are over. */
async function endLeases(): Promise<void> {
  await stage.database.pool.query(
    "update avatars.webhook_endpoints set leased_until = now() - interval '1 s'",
  );
}

/** The last change of each contact, by its chat. */
async function readLastChanges(): Promise<Map<string, number>> {
  const { rows } = await stage.database.pool.query<{ chat_id: string; id: string }>(
    `select c.chat_id, max(h.id) as id from avatars.avatar_changes h join avatars.contacts c on c.id = h.contact_id
     group by c.chat_id`,
  );
  return new Map(rows.map(({ chat_id: chat, id }) => [chat, Number(id)]));
}

const toChangeId = ({ data }: Received) => Number(data["changeId"]);

/** What was taken, each change once, in the order in which it was taken first. */
function listTaken(received: readonly Received[]): number[] {
  return [...new Set(received.map(toChangeId))];
}

test("kills at any moment lose no change, and an erased contact is told no more", async () => {
  const contacts = Array.from({ length: 30 }, (_, index) => toChat(index));
  for (const chat of contacts) await stage.setVersion(chat, "first");
  const usual = await stage.addEndpoint();
  const ordered = await stage.addEndpoint({ ordered: true });
  let requests = 0;
  // Each third request of a contact fails, at another place of each round.
  usual.answer(() => ((requests += 1) % 3 === 0 ? 500 : 204));

  for (let round = 0; round < 5; round += 1) {
    const before = [usual.received.length, ordered.received.length];
    for (const chat of contacts) await stage.setVersion(chat, `v${round}`);
    const sending = await stage.startSending();
    // From right after the first answer to the end of them all.
    const least = 1 + round * 7;
    await eventually(() => {
      expect(usual.received.length - before[0]!).toBeGreaterThanOrEqual(least);
      expect(ordered.received.length - before[1]!).toBeGreaterThanOrEqual(least);
    });
    await sending.kill();
    await endLeases();
  }

  const [erased = "", ...others] = contacts;
  await stage.setVersion(erased, "last");
  await stage.call(`/v1/instances/${instanceId}/contacts/${erased}`, { method: "DELETE" });
  const marks = [usual.received.length, ordered.received.length];
  usual.answer(() => 204);
  const sending = await stage.startSending();
  const last = await readLastChanges();
  await eventually(async () => {
    await stage.hurryRetries();
    for (const { taken } of [usual, ordered]) {
      const ids = new Set(taken().map(toChangeId));
      expect(others.filter((chat) => !ids.has(last.get(chat) ?? 0))).toEqual([]);
    }
  });
  await eventually(async () =>
    expect(await stage.show(usual.id)).toMatchObject({ retries: 0, lagSeconds: 0 }),
  );
  await sending.stop();

  const after = [...usual.received.slice(marks[0]), ...ordered.received.slice(marks[1])];
  expect(after.filter(({ data }) => data["chatId"] === erased)).toEqual([]);
  for (const { received } of [usual, ordered])
    for (const { headers, data } of received)
      expect(headers["webhook-id"]).toMatch(new RegExp(`_${String(data["changeId"])}$`));
  const inOrder = listTaken(ordered.taken());
  expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
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
  const contacts = Array.from({ length: 60 }, (_, index) => toChat(1_000 + index));
  for (const chat of contacts) await stage.setVersion(chat, "first");
  const sending = await stage.startSending();
  for (const chat of contacts) await stage.setVersion(chat, "second");
  await eventually(() => expect(healthy.taken()).toHaveLength(60));
  expect(hanging.taken()).toEqual([]);
  await sending.kill();
  await endLeases();
});

test("a place behind what retention has removed counts what was missed", async () => {
  const endpoint = await stage.addEndpoint();
  await stage.post(`/v1/webhooks/${endpoint.id}/disable`);
  const chat = toChat(5_000);
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
});

import { expect, test } from "vitest";
import type { FeedItem } from "../../src/domain/webhooks/feed-item.ts";
import type { LeasedEndpoint } from "../../src/domain/webhooks/settlement.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import { createDispatcher } from "../../src/webhooks/create-dispatcher.ts";
import { eventually } from "../support/eventually.ts";

const items = 40;
const at = new Date(1_790_000_000_000);
const toItem = (id: number): FeedItem => ({
  id,
  at,
  type: "instance.resumed",
  instanceId: "1101000001" as InstanceId,
  reason: undefined,
});

test.each([true, false])("a read that fails once loses no event, ordered: %s", async (isOrdered) => {
  let now = 0;
  let fails = true;
  let cursor = 0;
  const sent: number[] = [];
  const errors: unknown[] = [];
  const endpoint: LeasedEndpoint = {
    id: "endpoint",
    epoch: 1,
    url: "https://crm.example",
    label: undefined,
    types: ["instance.resumed"],
    instanceIds: undefined,
    includesFirstSeen: false,
    isOrdered,
    omitsChatId: false,
    secrets: ["secret"],
    cursor: 0,
    failingSince: undefined,
    headTries: 0,
    headNextAt: undefined,
  };
  const dispatcher = createDispatcher({
    takeEndpoints: async () => [endpoint],
    giveEndpointsBack: async () => undefined,
    readHorizon: async () => items,
    readFeed: async (after, until) => ({
      items: Array.from({ length: items }, (_none, index) => toItem(index + 1)).filter(
        ({ id }) => id > after && id <= until,
      ),
      next: until,
    }),
    async findItems(ids) {
      if (fails) {
        fails = false;
        throw new Error("Postgres is slow");
      }
      return new Map(ids.map((id) => [id, toItem(id)]));
    },
    claimRetries: async () => [],
    async settle({ endpoints }) {
      for (const settled of endpoints) ({ cursor } = settled);
      return new Set(endpoints.map(({ id }) => id));
    },
    async send({ id }) {
      sent.push(Number(id.split("_").at(-1)));
      // So slow that what was read with it is old when it is its turn.
      now += 400;
      return { at, tookMs: 1, status: 200, error: undefined, answer: undefined, retryAfterMs: undefined };
    },
    toCallbackSecret: () => "",
    clock: { now: () => now },
    random: () => 0.5,
    events: {
      webhookTried: () => undefined,
      webhookGivenUp: () => undefined,
      webhookDisabled: () => undefined,
      webhookUnreadable: () => undefined,
      failed: (_what, error) => void errors.push(error),
    },
  });
  await dispatcher.takeLeases();
  await eventually(async () => {
    now += 50;
    await dispatcher.readOn();
    await dispatcher.settle();
    expect(cursor).toBe(items);
  });
  expect(errors).toHaveLength(1);
  expect(sent.toSorted((a, b) => a - b)).toEqual(Array.from({ length: items }, (_none, index) => index + 1));
  if (isOrdered) expect(sent).toEqual(sent.toSorted((a, b) => a - b));
});

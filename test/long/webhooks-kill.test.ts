import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { openPostgresTap, type PostgresTap } from "../support/postgres-tap.ts";
import { startCli, type CliRun } from "../support/run-cli.ts";
import { secretKey } from "../support/stage.ts";
import type { Answering, Received, Receiver } from "../support/webhook-receiver.ts";
import {
  instanceId,
  openWebhookStage,
  webhookEnv,
  type AddedEndpoint,
  type WebhookStage,
} from "../support/webhook-stage.ts";

const chats = Array.from({ length: 12 }, (_, index) => `7911${String(index).padStart(7, "0")}@c.us`);

let stage: WebhookStage;
let tap: PostgresTap;
let worker: CliRun | undefined;

beforeAll(async () => {
  stage = await openWebhookStage();
  tap = await openPostgresTap(stage.database.url);
});
afterAll(async () => {
  worker?.child.kill("SIGKILL");
  await worker?.ended;
  await tap.close();
  await stage.close();
});

const kill = () => void worker?.child.kill("SIGKILL");

function startWorker(): CliRun {
  const env = { ...webhookEnv, DATABASE_URL: tap.url, AVATARS_SECRET_KEY: secretKey };
  worker = startCli(["worker"], { env });
  return worker;
}

/** As some seconds do: the leases of a process that is gone are over, and so are its claims. */
async function passTime(): Promise<void> {
  await stage.database.pool.query(
    `update avatars.webhook_endpoints set leased_until = now() - interval '1 s', head_next_at = null`,
  );
  await stage.hurryRetries();
}

const move = "update avatars.webhook_endpoints e set\n  cursor";

/** Where it is killed. What a transaction has written and not committed is gone with it: one place in it stands for all. */
interface Step {
  readonly name: string;
  /** Pictures change before it; default: true. */
  readonly isOfChanges?: boolean;
  readonly set: (receivers: { readonly usual: Receiver; readonly goner: Receiver }) => void;
}

const refuse: Answering = () => 500;
const killAndHang: Answering = () => {
  kill();
  return undefined;
};

const steps: readonly Step[] = [
  {
    name: "the feed is read, and nothing is sent",
    set: () => tap.afterAnswer(["(select max(id) from p)"], kill),
  },
  {
    name: "a request is on its way, without an answer",
    set: ({ usual }) => usual.answer(killAndHang),
  },
  {
    name: "half of an answer has come",
    set: ({ usual }) =>
      usual.answer((_, response) => {
        response.writeHead(200, { "content-length": "100" }).write("half", kill);
        return undefined;
      }),
  },
  {
    name: "an answer has come",
    set: ({ usual }) =>
      usual.answer((_, response) => {
        response.writeHead(204).end(kill);
        return 204;
      }),
  },
  { name: "the cursor is moved, and not committed", set: () => tap.afterAnswer([move], kill) },
  { name: "the move of the cursor is committed", set: () => tap.afterAnswer([move, "commit"], kill) },
  {
    name: "the rows of failed events are committed",
    set({ usual }) {
      usual.answer(refuse);
      tap.afterAnswer(["insert into avatars.webhook_retries", "commit"], kill);
    },
  },
  {
    name: "retries are claimed",
    isOfChanges: false,
    set: () => tap.afterAnswer(["limit e.room for update skip locked"], kill),
  },
  { name: "a retry is on its way", isOfChanges: false, set: ({ usual }) => usual.answer(killAndHang) },
  {
    name: "the end of an endpoint that is gone is committed",
    set({ goner }) {
      goner.answer(() => {
        // Another endpoint may be moved before it.
        tap.afterAnswer([move, '"disable":"gone"', "commit"], kill);
        return 410;
      });
    },
  },
];

const toChangeId = ({ data }: Received) => Number(data["changeId"]);
const ofChats = (received: readonly Received[]) => received.filter(({ type }) => type.startsWith("avatar."));

/** The last change of each contact, by its chat. */
async function readLastChanges(): Promise<Map<string, number>> {
  const { rows } = await stage.database.pool.query<{ chat_id: string; id: string }>(
    `select c.chat_id, max(h.id) as id from avatars.avatar_changes h join avatars.contacts c on c.id = h.contact_id
     group by c.chat_id`,
  );
  return new Map(rows.map(({ chat_id: chat, id }) => [chat, Number(id)]));
}

async function killAt({ name, isOfChanges = true, set }: Step, index: number, all: Endpoints): Promise<void> {
  if (isOfChanges) for (const chat of chats) await stage.setVersion(chat, `v${index}`);
  await passTime();
  set(all);
  const { ended } = startWorker();
  expect([name, await ended]).toMatchObject([name, { signal: "SIGKILL" }]);
  // What is still read of its requests kills no other.
  for (const receiver of Object.values(all)) receiver.answer(() => 204);
  tap.forget();
}

type Endpoints = Record<"usual" | "ordered" | "goner", AddedEndpoint>;

test("killed at each step of sending, workers tell of every change, and of none of an erased contact", async () => {
  for (const chat of chats) await stage.setVersion(chat, "first");
  const all: Endpoints = {
    usual: await stage.addEndpoint(),
    ordered: await stage.addEndpoint({ ordered: true, types: ["avatar.changed"] }),
    goner: await stage.addEndpoint({ types: ["avatar.changed"] }),
  };
  for (const [index, step] of steps.entries()) await killAt(step, index, all);

  const { usual, ordered, goner } = all;
  const [erased = "", ...others] = chats;
  for (const chat of chats) await stage.setVersion(chat, "last");
  await stage.call(`/v1/instances/${instanceId}/contacts/${erased}`, { method: "DELETE" });
  const marks = [usual.received.length, ordered.received.length];
  await passTime();
  const last = await readLastChanges();
  const survivor = startWorker();
  await eventually(async () => {
    await stage.hurryRetries();
    for (const { taken } of [usual, ordered]) {
      const ids = new Set(taken().map(toChangeId));
      expect(others.filter((chat) => !ids.has(last.get(chat) ?? 0))).toEqual([]);
    }
    for (const { id } of [usual, ordered])
      expect(await stage.show(id)).toMatchObject({ retries: 0, lagSeconds: 0, failingSince: null });
  });
  survivor.child.kill("SIGTERM");
  expect(await survivor.ended).toMatchObject({ code: 0 });

  const after = [...usual.received.slice(marks[0]), ...ordered.received.slice(marks[1])];
  expect(after.filter(({ data }) => data["chatId"] === erased)).toEqual([]);
  for (const { id, received } of [usual, ordered])
    for (const { headers, data } of ofChats(received))
      expect(headers["webhook-id"]).toBe(`msg_${id}_${String(data["changeId"])}`);
  // Each change once, in the order in which it was taken first.
  const inOrder = [...new Set(ordered.taken().map(toChangeId))];
  expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
  expect(await stage.show(goner.id)).toMatchObject({ state: "disabled", disabledReason: "gone" });
  expect(usual.taken().filter(({ type }) => type === "endpoint.disabled")).toMatchObject([
    { data: { endpointId: goner.id, reason: "gone" } },
  ]);
});

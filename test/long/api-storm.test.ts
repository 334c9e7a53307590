import { randomInt, randomUUID } from "node:crypto";
import { request } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createRandomOf, type Random } from "../../src/simulator/outcomes/random.ts";
import { eventually } from "../support/eventually.ts";
import { readApiUrl } from "../support/read-api-url.ts";
import type { CliRun } from "../support/run-cli.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const orderCount = 200;
const clientCount = 50;
const itemsEach = 1_000;
/** An order waits for others, and for servers that start again: on a slow machine for long. */
const patienceMs = 240_000;
/** After so many acknowledged batches the server is killed. */
const kills = new Set([50, 120]);
/** Set AVATARS_TEST_SEED to repeat what clients do; what the server makes of it differs by its timing. */
const seed = Number(process.env["AVATARS_TEST_SEED"] ?? randomInt(2 ** 31));

/** A batch that a client wants to get rid of. */
interface Order {
  readonly key: string;
  readonly random: Random;
  readonly body: Buffer;
  /** Distinct ones, in the order of their ids. */
  readonly chats: readonly string[];
  readonly counts: { readonly accepted: number; readonly duplicates: number; readonly rejected: number };
}

/** Those who ask in many batches. */
const regulars = makeChats(30, 900_000);

/** Each shares a third of its contacts with the next, and every fourth some with all of its kind. */
function makeOrder(index: number): Order {
  const random = createRandomOf(`order ${index}`, seed);
  const own = makeChats(920, index * 600);
  const chats = index % 4 === 0 ? [...own.slice(regulars.length), ...regulars] : own;
  const repeated = chats.filter(() => random() < 0.05);
  const items = [...chats, ...repeated.slice(0, itemsEach - chats.length)];
  const rejected = itemsEach - items.length;
  items.push(...Array.from({ length: rejected }, (_, n) => `nobody ${n}`));
  const shuffled = items
    .map((item) => [random(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);
  return {
    key: randomUUID(),
    random,
    body: Buffer.from(JSON.stringify({ instanceId, label: `order ${index}`, chatIds: shuffled })),
    chats: chats.toSorted(),
    counts: { accepted: chats.length, duplicates: itemsEach - chats.length - rejected, rejected },
  };
}

/** When a client hangs up. */
type Cut =
  | { readonly kind: "never" | "connected" | "answered" }
  | { readonly kind: "sending"; readonly bytes: number }
  | { readonly kind: "waiting"; readonly afterMs: number };

function chooseCut({ random, body }: Order): Cut {
  const cuts: readonly Cut[] = [
    { kind: "connected" },
    { kind: "answered" },
    { kind: "sending", bytes: Math.floor(random() * body.length) },
    { kind: "waiting", afterMs: random() ** 3 * 1_000 },
  ];
  return random() < 0.55
    ? { kind: "never" }
    : (cuts[Math.floor(random() * cuts.length)] ?? { kind: "never" });
}

interface Answer {
  readonly status: number;
  readonly isReplayed: boolean;
  readonly text: string;
}

interface Accepted {
  readonly id: string;
  readonly counts: Order["counts"];
  readonly items: readonly { readonly index: number; readonly status: string; readonly chatId?: string }[];
}

let stage: Stage;
let apiKey: string;
let server: CliRun;
let url: string;

beforeAll(async () => {
  stage = await openStage({ env: { PORT: "0", AVATARS_API_REQUESTS_PER_MINUTE: "1000000" } });
  await stage.addInstance(instanceId);
  apiKey = (await stage.run(["apikey", "create", "--scope", "enqueue,read"])).stdout.trim();
  await startServer();
});
afterAll(() => stage.close());

async function startServer(): Promise<void> {
  server = stage.start(["serve"]);
  url = await readApiUrl(server);
}

/** Undefined: the connection was cut, by us or by the death of the server. */
function send({ key, body }: Order, cut: Cut): Promise<Answer | undefined> {
  const sent = request(`${url}/v1/batches`, {
    method: "POST",
    agent: false,
    headers: {
      authorization: `Bearer ${apiKey}`,
      "content-type": "application/json",
      "content-length": body.length,
      "idempotency-key": key,
    },
  });
  return new Promise((resolve) => {
    const hangUp = () => sent.destroy();
    sent.on("error", () => undefined);
    sent.once("close", () => resolve(undefined));
    sent.once("response", (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (cut.kind === "answered") hangUp();
      });
      response.on("error", () => undefined);
      response.once("end", () => {
        const isReplayed = response.headers["idempotency-replayed"] === "true";
        resolve({ status: response.statusCode ?? 0, isReplayed, text });
      });
    });
    if (cut.kind === "sending") sent.write(body.subarray(0, cut.bytes), hangUp);
    else if (cut.kind === "connected") {
      sent.once("socket", (socket) => socket.once("connect", hangUp));
      sent.flushHeaders();
    } else sent.end(body, () => void (cut.kind === "waiting" && setTimeout(hangUp, cut.afterMs)));
  });
}

const byLabel = (rows: readonly Record<string, unknown>[]) =>
  rows.toSorted((a, b) => String(a["label"]).localeCompare(String(b["label"])));

test("what is acknowledged is there once, whoever hangs up, repeats, or is killed", async () => {
  process.stdout.write(`storm: AVATARS_TEST_SEED=${seed}\n`);
  const orders = Array.from({ length: orderCount }, (_, index) => makeOrder(index));
  const acknowledged = new Map<string, Answer>();
  const tally = new Map<string, number>();
  const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1);

  async function post(order: Order, cut: Cut): Promise<Answer> {
    const answer = await send(order, cut);
    count(answer ? String(answer.status) : cut.kind === "never" ? "broken" : `hung up: ${cut.kind}`);
    if (answer?.status !== 202) throw new Error(`not accepted: ${answer?.status} ${answer?.text}`);
    return answer;
  }

  async function deliver(order: Order): Promise<void> {
    const [answer, twinAnswer] = await eventually(async () => {
      // Now and then an impatient one sends it twice at once.
      const twin = order.random() < 0.1 ? post(order, chooseCut(order)).catch(() => undefined) : undefined;
      const first = await post(order, chooseCut(order)).catch((error: Error) => error);
      const second = await twin;
      if (first instanceof Error) throw first;
      return [first, second];
    }, patienceMs);
    if (twinAnswer) expect(twinAnswer.text).toBe(answer.text);
    acknowledged.set(order.key, answer);
    if (kills.has(acknowledged.size)) {
      server.child.kill("SIGKILL");
      await server.ended;
      await startServer();
    }
    if (order.random() < 0.3) {
      const again = await eventually(async () => post(order, { kind: "never" }), patienceMs);
      expect(again).toEqual({ ...answer, isReplayed: true });
    }
  }

  const waiting = orders.values();
  const clients = Array.from({ length: clientCount }, async () => {
    for (const order of waiting) await deliver(order);
  });
  await Promise.all(clients);
  process.stdout.write(`storm: ${JSON.stringify(Object.fromEntries(tally))}\n`);

  // Nothing but this: taken in, the first one is still at work, or wait a little.
  expect([...tally.keys()].filter((what) => /^\d/.test(what) && !/^(202|409|503)$/.test(what))).toEqual([]);
  expect(acknowledged.size).toBe(orderCount);
  // Some were taken in although nobody was there to hear of it.
  expect([...acknowledged.values()].some(({ isReplayed }) => isReplayed)).toBe(true);
  const batches = new Map(
    orders.map((order) => [order, JSON.parse(acknowledged.get(order.key)!.text) as Accepted]),
  );
  for (const [order, { counts, items }] of batches) {
    expect(counts).toEqual(order.counts);
    expect(items.every(({ index }, at) => index === at)).toBe(true);
    const statuses = items.map(({ status }) => status);
    expect({
      accepted: statuses.filter((status) => status === "queued").length,
      duplicates: statuses.filter((status) => status === "duplicate").length,
      rejected: statuses.filter((status) => status === "invalid").length,
    }).toEqual(order.counts);
  }

  const { pool } = stage.database;
  const stored = await pool.query<Record<string, unknown>>(
    `with members as (
       select m.batch_id, string_agg(c.chat_id, ' ' order by c.chat_id collate "C") as chats
       from avatars.batch_members m join avatars.batches b on b.id = m.batch_id
       join avatars.contacts c on c.id = m.contact_id and c.wanted_at <= b.requested_at
       group by m.batch_id
     )
     select k.key, k.kind = 'answered' as answered, b.id, b.label, b.accepted, b.duplicates, b.rejected,
       b.completed_intake_at is not null as complete, m.chats
     from avatars.batches b full join avatars.idempotency_keys k on k.batch_id = b.id
     left join members m on m.batch_id = b.id`,
  );
  const wanted = [...batches].map(([{ key, chats, counts }, { id }], index) => {
    return {
      key,
      answered: true,
      id,
      label: `order ${index}`,
      ...counts,
      complete: true,
      chats: chats.join(" "),
    };
  });
  expect(byLabel(stored.rows)).toEqual(byLabel(wanted));

  const contacts = await stage.readContacts(instanceId);
  const everybody = new Set(orders.flatMap(({ chats }) => chats));
  // One text is compared much faster than a hundred thousand.
  expect(contacts.map(({ chatId }) => chatId).join(" ")).toBe([...everybody].toSorted().join(" "));
  expect(contacts.every(({ pending }) => pending)).toBe(true);

  const again = await Promise.all(orders.slice(0, 20).map(async (order) => send(order, { kind: "never" })));
  for (const [index, answer] of again.entries()) {
    expect(answer).toEqual({ ...acknowledged.get(orders[index]!.key), isReplayed: true });
  }
});

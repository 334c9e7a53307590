import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { abuse, type AbusiveRequest } from "../support/abuse.ts";
import { readBody, readUntil, toAnswer, type ApiAnswer } from "../support/api-call.ts";
import { readDocument, type ApiDocument, type Operation, type Parameter } from "../support/api-document.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import type { Known } from "../support/schema-values.ts";
import { makeChats } from "../support/stage.ts";

/** More than usual: how often more. */
const factor = Number(process.env["TEST_ABUSE_FACTOR"] ?? "1");
/** The others get {@link defaultRuns}. */
const runs: Readonly<Record<string, number>> = { createBatch: 100, addInstance: 80, changeInstance: 80 };
const defaultRuns = 35;
const deadlineMs = 5_000;

const instanceId = "1101000001";
const otherId = "1101000002";
const spareIds = Array.from({ length: 10 }, (_, index) => String(1101000010 + index));
const chats = makeChats(6);

let stage: ApiStage;
let document: ApiDocument;
let known: Known;

beforeAll(async () => {
  stage = await openApiStage();
  document = readDocument((await stage.call("/openapi.json")).text);
  for (const id of [instanceId, otherId, ...spareIds]) await stage.addInstance(id);
  const worker = await stage.startWorker();
  const done = await enqueue(chats);
  await eventually(async () =>
    expect((await stage.call(`/v1/batches/${done}`)).json()).toMatchObject({ state: "done" }),
  );
  await worker.stop();
  // From here on nothing happens but by requests, and nobody waits for answers that do not come.
  await stage.call(`/v1/instances/${instanceId}/pause`, { method: "POST" });
  const working = await enqueue([...chats, ...makeChats(5, 100)]);
  const cancelled = await enqueue(makeChats(5, 200));
  await stage.call(`/v1/batches/${cancelled}/cancel`, { method: "POST" });
  const { next } = (await stage.call("/v1/changes?limit=2")).json();
  known = {
    instanceId: [instanceId],
    chatId: chats,
    phone: ["+7 900 123-45-67", "447700900123"],
    chatIds: [...chats, ...makeChats(50, 300), "7 900 100 00 01", "nobody"],
    maxAge: ["7d", "0", 3600],
    limit: [1, 100],
    column: ["chat_id", "chatId"],
    refColumn: ["external_ref"],
    defaultCountry: ["RU", "de"],
    "idempotency-key": Array.from({ length: 200 * factor }, (_, index) => `"key ${index}"`),
    cursor: [next],
    batches: [done, working, cancelled],
  };
});
afterAll(() => stage.close());

async function enqueue(chatIds: readonly string[]): Promise<string> {
  const answer = await stage.call("/v1/batches", {
    method: "POST",
    json: { instanceId, chatIds, maxAge: 0 },
  });
  expect(answer.status).toBe(202);
  return String(answer.json()["id"]);
}

/** What `id` means here: nobody's world may be taken away from the others. */
function toKnown({ id, path }: Operation): Known {
  if (id === "eraseContact") return { ...known, id: [instanceId], chatId: makeChats(50, 300) };
  if (path.startsWith("/v1/batches")) return { ...known, id: known["batches"]! };
  if (path.includes("/contacts/") || id === "getInstance") return { ...known, id: [instanceId] };
  return { ...known, id: id === "removeInstance" ? spareIds : [otherId] };
}

const jsonType = "application/json";
const isOfStreams = ({ description = "" }: Parameter) => description.startsWith("Streams only");

/** What takes JSON and streams takes other parameters with each; and then all of it in any mixture. */
function toVariants(operation: Operation): Operation[] {
  const { bodies, parameters } = operation;
  const { [jsonType]: json, ...streams } = bodies;
  if (!json || Object.keys(streams).length === 0) return [operation];
  const ofStreams = parameters.map((parameter) =>
    parameter.name === "instanceId" ? { ...parameter, required: true } : parameter,
  );
  return [
    { ...operation, bodies: { [jsonType]: json }, parameters: parameters.filter((it) => !isOfStreams(it)) },
    { ...operation, bodies: streams, parameters: ofStreams },
    operation,
  ];
}

interface Counts {
  readonly batches: number;
  readonly members: number;
  readonly contacts: number;
  readonly instances: number;
  readonly keys: number;
  readonly apiKeys: number;
}

interface Snapshot {
  readonly counts: Counts;
  readonly lastContactId: number;
  /** Of all that is stored. */
  readonly digest: string;
}

const digestSql = [
  "batches",
  "batch_members",
  "contacts",
  "avatars",
  "avatar_changes",
  "instances",
  "idempotency_keys",
]
  .map((table) => `(select md5(string_agg(t::text, '' order by t::text)) from avatars.${table} t)`)
  .join(", ");

async function takeSnapshot(): Promise<Snapshot> {
  const { rows } = await stage.database.pool.query<{ counts: Counts; last: number; digest: string }>(
    `select json_build_object(
       'batches', (select count(*) from avatars.batches),
       'members', (select count(*) from avatars.batch_members),
       'contacts', (select count(*) from avatars.contacts),
       'instances', (select count(*) from avatars.instances),
       'keys', (select count(*) from avatars.idempotency_keys),
       'apiKeys', (select count(*) from avatars.api_keys)) as counts,
       (select coalesce(max(id), 0)::integer from avatars.contacts) as last,
       concat_ws(' ', ${digestSql}) as digest`,
  );
  const { counts, last, digest } = rows[0]!;
  return { counts, lastContactId: last, digest };
}

/** How many of a batch's members are contacts that were not there before. */
async function countNew(batchId: string, { lastContactId }: Snapshot): Promise<number> {
  const { rows } = await stage.database.pool.query<{ added: number }>(
    "select count(*)::integer as added from avatars.batch_members where batch_id = $1 and contact_id > $2",
    [batchId, lastContactId],
  );
  return rows[0]?.added ?? 0;
}

interface AcceptedBatch {
  readonly id: string;
  readonly counts: { readonly accepted: number; readonly duplicates: number; readonly rejected: number };
  readonly items?: readonly { readonly status: string }[];
}

/** What a successful request has added, according to its answer. Undefined: what it likes. */
async function expectAdded(
  { id }: Operation,
  request: AbusiveRequest,
  answer: ApiAnswer,
  before: Snapshot,
): Promise<Partial<Counts>> {
  switch (id) {
    case "createBatch": {
      if (answer.status >= 400) return expectIncomplete(String(answer.json()["batchId"]), before);
      if (answer.headers["idempotency-replayed"] === "true") return {};
      const { id: batchId, counts, items } = answer.json() as unknown as AcceptedBatch;
      if (items) {
        expect(countItems(items)).toEqual(counts);
        await expectStored(batchId, JSON.parse(String(request.body)) as NewBatch);
      }
      const keys = "idempotency-key" in request.headers ? 1 : 0;
      return { batches: 1, members: counts.accepted, contacts: await countNew(batchId, before), keys };
    }
    case "refreshContact":
    case "refreshContactById": {
      const batchId = String(answer.json()["batchId"]);
      return { batches: 1, members: 1, contacts: await countNew(batchId, before) };
    }
    case "eraseContact":
    case "eraseContactById":
      return { contacts: -1, members: expect.any(Number) as number };
    case "addInstance":
      return { instances: 1 };
    case "removeInstance":
      return { instances: -1 };
    case "addKey":
      return { apiKeys: 1 };
    default:
      return {};
  }
}

/** A stream that broke in its middle: what was read before is kept, and the answer names the batch, which says so. */
async function expectIncomplete(batchId: string, before: Snapshot): Promise<Partial<Counts>> {
  const batch = (await stage.call(`/v1/batches/${batchId}`)).json();
  expect(batch).toMatchObject({ state: "incomplete", completedIntakeAt: null });
  const members = Number(batch["accepted"]);
  return { batches: 1, members, contacts: await countNew(batchId, before), keys: expect.any(Number) };
}

interface NewBatch {
  readonly label?: string;
  readonly callbackUrl?: string;
  readonly priority?: number;
}

/** To the letter. */
async function expectStored(batchId: string, { label, callbackUrl, priority }: NewBatch): Promise<void> {
  const { rows } = await stage.database.pool.query<Record<string, unknown>>(
    `select label, callback_url as "callbackUrl", priority from avatars.batches where id = $1`,
    [batchId],
  );
  expect(rows).toEqual([{ label: label ?? null, callbackUrl: callbackUrl ?? null, priority: priority ?? 1 }]);
}

function countItems(items: NonNullable<AcceptedBatch["items"]>) {
  const count = (...statuses: string[]) => items.filter(({ status }) => statuses.includes(status)).length;
  return {
    accepted: count("queued", "fresh"),
    duplicates: count("duplicate"),
    rejected: count("invalid"),
  };
}

async function call(request: AbusiveRequest): Promise<ApiAnswer> {
  const response = await stage.open(request.path, { ...request, deadlineMs });
  const isEndless = response.headers["content-type"]?.startsWith("text/event-stream");
  return toAnswer(response, await (isEndless ? readUntil(response, /^data: .*$/m) : readBody(response)));
}

const nothing: Counts = { batches: 0, members: 0, contacts: 0, instances: 0, keys: 0, apiKeys: 0 };

/** Whatever reads may note down is when a batch was seen to be done. */
const finders = new Set(["getBatch", "watchBatch"]);

let last: Snapshot | undefined;

async function send(operation: Operation, request: AbusiveRequest): Promise<void> {
  // Nobody else writes.
  const before = last ?? (await takeSnapshot());
  const failed = stage.failures.length;
  const answer = await call(request);
  document.check(operation, answer);
  expect(answer.status).toBeLessThan(500);
  expect(stage.failures.slice(failed)).toEqual([]);
  const after = await takeSnapshot();
  last = after;
  if (answer.status >= 400 && !("batchId" in answer.json())) {
    return expect(after.digest, "of a request that was refused").toBe(before.digest);
  }
  if (operation.method === "GET" && !finders.has(operation.id)) expect(after.digest).toBe(before.digest);
  const added = Object.fromEntries(
    Object.entries(after.counts).map(([name, count]) => [name, count - before.counts[name as keyof Counts]]),
  );
  expect(added).toEqual({ ...nothing, ...(await expectAdded(operation, request, answer, before)) });
}

/** What takes things away comes last. */
const order = ["GET", "POST", "PATCH", "DELETE"];

describe("whatever is sent, there is an answer as the document says, no error of ours, and nothing by halves", () => {
  test("to every operation", { timeout: 400_000 * factor }, async () => {
    const statuses = new Map<string, number>();
    const operations = document.operations
      .flatMap(toVariants)
      .toSorted((one, other) => order.indexOf(one.method) - order.indexOf(other.method));
    for (const operation of operations) {
      const requests = abuse(document, operation, toKnown(operation));
      await fc.assert(
        fc.asyncProperty(requests, async (request) => {
          await send(operation, request);
        }),
        { numRuns: (runs[operation.id] ?? defaultRuns) * factor },
      );
    }
    for (const { route, method, status } of stage.records) {
      const name = `${method} ${route} ${status}`;
      statuses.set(name, (statuses.get(name) ?? 0) + 1);
    }
    if (process.env["TEST_ABUSE_FACTOR"])
      process.stdout.write(`${[...statuses].map((pair) => pair.join(": ")).join("\n")}\n`);
  });
});

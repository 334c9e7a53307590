import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openEmbeddedPostgres } from "../../src/embedded/open-embedded-postgres.ts";
import { callApi, type ApiAnswer } from "../support/api-call.ts";
import { eventually } from "../support/eventually.ts";
import { openPostgresValve } from "../support/postgres-valve.ts";
import { readApiUrl } from "../support/read-api-url.ts";
import type { CliRun } from "../support/run-cli.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

/** What a stream of {@link makeLines} comes to. */
const counts = { accepted: 20_000, duplicates: 3_000, rejected: 7 };
/** A first part with chunks that are committed, and some lines beyond. */
const cutAt = 13_333;

/** With duplicates across the place where it is cut, and lines that are no contacts. */
function makeLines(): string[] {
  const chats = makeChats(counts.accepted);
  const all = [...chats.slice(0, 15_000), ...chats.slice(10_000, 13_000), ...chats.slice(15_000)];
  const lines = all.map((chatId) => `{"chatId":"${chatId}"}\n`);
  for (let bad = 0; bad < counts.rejected; bad += 1) lines.splice(bad * 3_000, 0, `{"chatId":"nobody"}\n`);
  return lines;
}

interface Batch {
  readonly id: string;
  readonly state: string;
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly counts: { readonly pending: number };
  readonly completedIntakeAt: string | null;
}

/** An API as a process, and what this file asks it. */
interface Served {
  readonly run: CliRun;
  stream(idempotencyKey: string, body: PassThrough | string): Promise<ApiAnswer>;
  call(path: string): Promise<ApiAnswer>;
  /** The batch whose stream is still at work, as soon as some of it is committed. */
  findBegun(): Promise<Batch>;
  readBatch(id: string): Promise<Batch>;
}

let stage: Stage;

beforeAll(async () => {
  stage = await openStage({ env: { PORT: "0" } });
});
afterAll(() => stage.close());

async function createKey(env: Record<string, string> = {}): Promise<string> {
  return (await stage.run(["apikey", "create", "--scope", "enqueue,read"], { env })).stdout.trim();
}

async function serve(instanceId: string, key: string, env: Record<string, string> = {}): Promise<Served> {
  const run = stage.start(["serve"], { env });
  const url = await readApiUrl(run);
  const call = (path: string) => callApi(url, path, { key });
  return {
    run,
    call,
    stream: (idempotencyKey, body) =>
      callApi(url, `/v1/batches?instanceId=${instanceId}`, {
        method: "POST",
        key,
        headers: { "content-type": "application/x-ndjson", "idempotency-key": idempotencyKey },
        body,
        deadlineMs: 60_000,
      }),
    findBegun: () =>
      eventually(async () => {
        const answer = await call(`/v1/batches?instanceId=${instanceId}&state=incomplete`);
        const [batch, ...others] = (answer.json() as { items: Batch[] }).items;
        expect(others).toEqual([]);
        expect(batch?.accepted).toBeGreaterThan(0);
        return batch!;
      }),
    async readBatch(id) {
      const answer = await call(`/v1/batches/${id}`);
      expect(answer.status).toBe(200);
      return answer.json() as unknown as Batch;
    },
  };
}

async function readStored(url: string, instanceId: string) {
  const client = new pg.Client(url);
  await client.connect();
  const { rows } = await client.query<{ batches: number; members: number; chats: string }>(
    `select (select count(*)::integer from avatars.batches where instance_id = $1) as batches,
       (select count(*)::integer from avatars.batch_members m join avatars.batches b on b.id = m.batch_id
        where b.instance_id = $1) as members,
       (select string_agg(chat_id, ' ' order by chat_id collate "C") from avatars.contacts
        where instance_id = $1 and wanted_at is not null) as chats`,
    [instanceId],
  );
  await client.end();
  return rows[0];
}

/** All of it, once. */
const whole = {
  batches: 1,
  members: counts.accepted,
  chats: makeChats(counts.accepted).join(" "),
};

describe.each([
  {
    how: "by its sender",
    instanceId: "1101000001",
    async cut(_served: Served, body: PassThrough) {
      body.destroy(new Error("gone"));
    },
  },
  {
    how: "by the death of the server",
    instanceId: "1101000002",
    async cut({ run }: Served) {
      run.child.kill("SIGKILL");
      await run.ended;
    },
  },
])("a stream that is cut off $how", ({ instanceId, cut }) => {
  test("leaves a batch that is incomplete, and comes to exact counts when it is sent again", async () => {
    await stage.addInstance(instanceId);
    const key = await createKey();
    let served = await serve(instanceId, key);
    const idempotencyKey = randomUUID();
    const lines = makeLines();
    const body = new PassThrough();
    const hungUp = served.stream(idempotencyKey, body).catch(() => "no answer");
    body.write(lines.slice(0, cutAt).join(""));
    const { id } = await served.findBegun();
    await cut(served, body);
    expect(await hungUp).toBe("no answer");
    if (served.run.child.signalCode !== null) served = await serve(instanceId, key);

    const left = await served.readBatch(id);
    expect(left).toMatchObject({ state: "incomplete", completedIntakeAt: null });
    expect(left.accepted).toBeLessThan(counts.accepted);

    const answer = await eventually(async () => {
      const answer = await served.stream(idempotencyKey, lines.join(""));
      // The server may not have noticed yet, or Postgres that the server is gone.
      expect(answer.status).toBe(202);
      return answer;
    });
    expect(answer.json()).toMatchObject({ id, instanceId, counts, resumed: true });
    expect(await served.readBatch(id)).toMatchObject({
      state: "working",
      ...counts,
      counts: { pending: counts.accepted },
    });
    expect(await readStored(stage.database.url, instanceId)).toEqual(whole);

    const again = await served.stream(idempotencyKey, lines.join(""));
    expect([again.status, again.headers["idempotency-replayed"], again.text]).toEqual([
      202,
      "true",
      answer.text,
    ]);
    served.run.child.kill("SIGTERM");
    expect(await served.run.ended).toMatchObject({ code: 0 });
  });
});

test("a stream goes on by itself after Postgres has died and come back in its middle", async () => {
  const instanceId = "1101000003";
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-stream-"));
  const open = () =>
    openEmbeddedPostgres({ dataDir: folder, settings: { fsync: "off", synchronous_commit: "on" } });
  const first = await open();
  onTestFinished(async () => {
    await first.close();
    await rm(folder, { recursive: true, force: true });
  });
  // Somebody may take the port of the dead one.
  const valve = await openPostgresValve(first.url);
  onTestFinished(() => valve.close());
  const env = { DATABASE_URL: valve.url };
  expect(await stage.run(["migrate"], { env })).toMatchObject({ code: 0 });
  const client = new pg.Client(first.url);
  await client.connect();
  await client.query(
    "insert into avatars.instances (id, api_url, sealed_token) values ($1, $2, 'nobody calls')",
    [instanceId, stage.simulator.url],
  );
  await client.end();
  const served = await serve(instanceId, await createKey(env), env);

  const lines = makeLines();
  const body = new PassThrough();
  const answered = served.stream(randomUUID(), body);
  // Met below; until then it must not count as unhandled.
  answered.catch(() => undefined);
  body.write(lines.slice(0, cutAt).join(""));
  const { id } = await served.findBegun();
  const [pid = ""] = (await readFile(join(folder, "postgres", "postmaster.pid"), "utf8")).split("\n");
  process.kill(Number(pid), "SIGKILL");
  body.end(lines.slice(cutAt).join(""));
  await eventually(async () => expect((await served.call("/readyz")).status).toBe(503));
  const second = await open();
  onTestFinished(() => second.close());
  expect(second.started).toBe("started");
  valve.pointTo(second.url);

  const answer = await answered;
  expect([answer.status, answer.json()]).toMatchObject([202, { id, counts, resumed: false }]);
  expect(await served.readBatch(id)).toMatchObject({ state: "working", ...counts });
  expect(await readStored(second.url, instanceId)).toEqual(whole);
  served.run.child.kill("SIGTERM");
  expect(await served.run.ended).toMatchObject({ code: 0 });
});

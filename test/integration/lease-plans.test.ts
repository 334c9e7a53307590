import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { priorities } from "../../src/domain/ledger/due-queue.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { openDatabase, type Database } from "../../src/store/postgres/database.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { addInstance, paceSettings } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

// A worker keeps its statements prepared for weeks. Those that were planned while all tables were empty, and known to be, must
// read as little of large ones.

const owner = randomUUID();
const contactCount = 20_000;
const instanceCount = 300;
/** After so many executions on one connection the server may settle for a plan that does not know the values. */
const timesPrepared = 7;
/** Pages: contacts and their indexes have some thousand, instances and arrivals each some hundred. */
const mostBuffers = 300;

let database: TestDatabase;
let leases: Database;
let ledger: RunLedger;
let instanceId: InstanceId;
let epoch = 0;
let horizon: string | undefined;
const buffers = new Map<string, number>();
let running = "";

beforeAll(async () => {
  database = await openTestDatabase();
  const { pool, url } = database;
  const name = new URL(url).pathname.slice(1);
  for (const setting of [
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_analyze = on",
    "auto_explain.log_buffers = on",
    "auto_explain.log_format = 'json'",
    "client_min_messages = 'log'",
  ])
    await pool.query(`alter database ${name} set ${setting}`);
  // Of one connection, so that every statement is the one that was prepared.
  leases = await openDatabase({ url, maxConnections: 1, readsByIndex: true });
  leases.pool.on("acquire", (client) => {
    client.removeAllListeners("notice");
    client.on("notice", ({ message = "" }) => {
      const [, json] = /^duration: .*? plan:\n(.*)$/s.exec(message) ?? [];
      if (json !== undefined) buffers.set(running, countBuffers(JSON.parse(json) as Plan));
    });
  });
  ledger = createRunLedger(database, paceSettings, leases);
  instanceId = await addInstance(database);
});
afterAll(async () => {
  await leases.close();
  await database.close();
});

interface Plan {
  readonly Plan: { readonly "Shared Hit Blocks": number; readonly "Shared Read Blocks": number };
}

const countBuffers = ({ Plan: root }: Plan) => root["Shared Hit Blocks"] + root["Shared Read Blocks"];

const statements: Record<string, () => Promise<unknown>> = {
  async takeLease() {
    const lease = await ledger.takeLease(instanceId, owner);
    if (lease.kind !== "taken") throw new Error(lease.kind);
    ({ epoch } = lease);
  },
  renewLeases: () => ledger.renewLeases(owner, [{ instanceId, epoch, calls: 3, turns: [0, 0, 0] }]),
  readDue: () =>
    ledger.readDue(
      priorities.flatMap((priority) =>
        [false, true].map((isTurned) => ({
          instanceId,
          priority,
          isTurned,
          after: { by: -1, contactId: 0 },
          limit: 6,
        })),
      ),
    ),
  async readArrivals() {
    ({ horizon } = await ledger.readArrivals(horizon));
  },
  listLeases: () => ledger.listLeases(owner),
  async handOver() {
    const { rows } = await database.pool.query<{ id: number }>(
      "select id::int from avatars.contacts where instance_id = $1 and due_at is not null order by id limit 3",
      [instanceId],
    );
    const inFlight = rows.map(({ id }) => id);
    const left = { calls: 3, turns: [0, 0, 0], recentAgesMs: [1], nextCallInMs: 1, inFlight } as const;
    await ledger.handOver(owner, { instanceId, epoch, ...left });
  },
};

async function runAll(): Promise<void> {
  for (const [name, run] of Object.entries(statements)) {
    running = name;
    await run();
  }
}

async function grow(): Promise<void> {
  const { pool } = database;
  for (let n = 1; n < instanceCount; n += 1) await addInstance(database);
  await pool.query(
    `insert into avatars.contacts (instance_id, chat_id, status, priority, due_at, turn, wanted_at)
     select $1, 79000000000 + n || '@c.us', 'present', n % 3, now() - interval '1 hour', case when n % 2 = 0 then n end, now()
     from generate_series(1, $2::int) n`,
    [instanceId, contactCount],
  );
  await pool.query(
    `insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
     select id, 'https://pps.whatsapp.net/old.jpg', '/old.jpg', now(), now() from avatars.contacts`,
  );
  await pool.query("insert into avatars.arrivals (instance_id) select $1 from generate_series(1, $2::int)", [
    instanceId,
    contactCount,
  ]);
}

test("statements that were prepared on empty tables read no more than they need of large ones", async () => {
  await database.pool.query("vacuum (analyze)");
  for (let times = 0; times < timesPrepared; times += 1) await runAll();
  await grow();
  // What has arrived is told once, and then lies behind the horizon.
  await statements["readArrivals"]!();
  for (let times = 0; times < timesPrepared; times += 1) await runAll();
  expect([...buffers.keys()].toSorted()).toEqual(Object.keys(statements).toSorted());
  const { listLeases: _ofAll, ...bounded } = Object.fromEntries(buffers);
  for (const [name, read] of Object.entries(bounded))
    expect([name, read <= mostBuffers ? "few" : read]).toEqual([name, "few"]);
});

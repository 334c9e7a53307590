import type pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import { isTransient } from "../../src/store/postgres/database.ts";
import { applyLookupsAside } from "../../src/store/saves/apply-lookups-aside.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { nodesOf, openExplained, type Explained, type PlanNode } from "../support/explained.ts";
import { absent, addInstance, paceSettings, present, retry, toRecord } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

// What runs for each batch of contacts must cost the same however the tables grow, and whatever the server knew of them when it
// made the plan: a prepared statement keeps its plan. Each statement is prepared on one connection while the tables are empty and
// analysed, so often that its plan is kept. Then the tables grow, and the pages are counted that the same statement touches.

/** After so many executions on one connection the server has settled for a plan, which does not know the values. */
const timesPrepared = 8;
/** Contacts of each execution. */
const batchSize = 5;
/** Contacts, avatars, changes, resync runs and batches that come later. */
const grownRows = 20_000;
/**
 * Pages that may be touched more often in the grown tables: each index is two levels deeper. To read one of the tables as a whole
 * would be hundreds.
 */
const mostGrowth = 2.5;

/** The lease under which the contacts were in flight when it was handed over. */
const epoch = 1;

interface Stage {
  /** Only for what is to be explained: its statements are prepared. */
  readonly pool: pg.Pool;
  readonly ledger: RunLedger;
  readonly ledgerWithImages: RunLedger;
  /** For what is no part of the test. */
  readonly besides: pg.Pool;
  readonly instanceId: InstanceId;
  /** Due contacts whose calls are in flight, fresh for each execution. */
  readonly contactIds: readonly number[];
  /** Empties the list of plans: what ran before it was to prepare for the statement. */
  readonly begin: () => void;
}

/** A statement that must keep its plan: add yours here. */
interface HotStatement {
  readonly name: string;
  /** Executes it once, for the contacts of the stage. */
  readonly run: (stage: Stage) => Promise<unknown>;
}

const save = async ({ contactIds }: Stage, ledger: RunLedger, decision: ContactDecision) => {
  const askedAtMs = Date.now();
  return ledger.saveLookups(contactIds.map((id) => toRecord(id, epoch, askedAtMs, decision)));
};
const seen = async ({ besides, contactIds }: Stage) =>
  besides.query(
    `insert into avatars.avatars (contact_id, url, version, first_seen_at, changed_at, seen_at)
     select id, 'https://pps.whatsapp.net/old.jpg', '/old.jpg', now() - interval '1 day', now() - interval '1 day', now() - interval '1 day'
     from unnest($1::bigint[]) as id`,
    [contactIds],
  );
const held = async ({ besides, contactIds }: Stage, work: () => Promise<unknown>) => {
  const holder = await besides.connect();
  try {
    await holder.query("begin");
    await holder.query("select from avatars.contacts where id = any($1) for no key update", [contactIds]);
    await work();
  } finally {
    await holder.query("rollback");
    holder.release();
  }
};

const statements: readonly HotStatement[] = [
  {
    name: "saveLookups of first answers",
    run: async (stage) => save(stage, stage.ledger, present("/a.jpg")),
  },
  {
    name: "saveLookups of first answers, while images are kept",
    run: async (stage) => save(stage, stage.ledgerWithImages, present("/a.jpg")),
  },
  {
    name: "saveLookups of the picture that is known",
    async run(stage) {
      await seen(stage);
      stage.begin();
      await save(stage, stage.ledger, present("/old.jpg", "oe=2"));
    },
  },
  {
    name: "saveLookups of another picture",
    async run(stage) {
      await seen(stage);
      stage.begin();
      await save(stage, stage.ledger, present("/new.jpg"));
    },
  },
  {
    name: "saveLookups of a picture that is gone, asked for by a resync run",
    async run(stage) {
      await seen(stage);
      const { besides, instanceId, contactIds } = stage;
      await besides.query(
        `with run as (insert into avatars.resync_runs (instance_id, kind, ended_at) values ($1, 'manual', now()) returning id)
         update avatars.contacts set resync_run_id = run.id from run where contacts.id = any($2)`,
        [instanceId, contactIds],
      );
      stage.begin();
      await save(stage, stage.ledger, absent);
    },
  },
  { name: "saveLookups of failures", run: async (stage) => save(stage, stage.ledger, retry) },
  {
    name: "saveLookups of contacts that another program holds",
    run: async (stage) =>
      held(stage, async () => {
        const { setAside } = await save(stage, stage.ledger, present("/a.jpg"));
        expect(setAside.size).toBe(batchSize);
        await stage.besides.query("delete from avatars.lookups_aside");
      }),
  },
  {
    name: "applyLookupsAside",
    async run(stage) {
      await held(stage, async () => save(stage, stage.ledger, present("/a.jpg")));
      stage.begin();
      expect(await applyLookupsAside(stage.pool, false, isTransient)).toMatchObject({ records: batchSize });
    },
  },
  {
    name: "the removal of contacts with their avatars",
    async run(stage) {
      await save(stage, stage.ledger, present("/a.jpg"));
      stage.begin();
      await stage.pool.query("delete from avatars.contacts where id = any($1)", [stage.contactIds]);
    },
  },
];

let database: TestDatabase;
let explained: Explained;
let instanceId: InstanceId;
let contacts = 0;

/** Contacts that are due, and whose calls are in flight. */
async function addInFlight(count: number): Promise<number[]> {
  const { rows } = await database.pool.query<{ id: number }>(
    `insert into avatars.contacts (instance_id, chat_id, due_at, turn, wanted_at, in_flight_epoch, in_flight_until)
     select $1, 79000000000 + n || '@c.us', now(), n, now(), $2, now() + interval '1 hour'
     from generate_series($3::int + 1, $3::int + $4::int) n returning id::int as id`,
    [instanceId, epoch, contacts, count],
  );
  contacts += count;
  return rows.map(({ id }) => id);
}

/** What has run: the pages that it touched, and what read a table otherwise than by an index's condition. */
async function execute(statement: HotStatement): Promise<{ pages: number; wholly: string[] }> {
  const { pool, plans } = explained;
  const begin = () => void (plans.length = 0);
  const contactIds = await addInFlight(batchSize);
  begin();
  await statement.run({
    pool,
    ledger: createRunLedger(explained, paceSettings),
    ledgerWithImages: createRunLedger(explained, { ...paceSettings, keepsImages: true }),
    besides: database.pool,
    instanceId,
    contactIds,
    begin,
  });
  expect(plans.length).toBeGreaterThan(0);
  const pages = plans.reduce((sum, { Plan: plan }) => sum + countPages(plan), 0);
  const wholly = plans.flatMap(({ Plan: plan }) => [...nodesOf(plan)].filter(readsWholly));
  return { pages, wholly: wholly.map((node) => `${node["Node Type"]} on ${node["Relation Name"]}`) };
}

const countPages = ({ "Shared Hit Blocks": hit = 0, "Shared Read Blocks": read = 0 }: PlanNode) => hit + read;
/** Of locked records there are few, and of what holds one row or none none grows. */
const small = new Set(["lookups_aside", "change_gate", "instances"]);
const readsWholly = (node: PlanNode) =>
  node["Relation Name"] !== undefined &&
  !small.has(node["Relation Name"]) &&
  node["Node Type"].endsWith("Scan") &&
  node["Index Cond"] === undefined;

async function grow({ pool }: TestDatabase): Promise<void> {
  await pool.query(
    `with grown as (
       insert into avatars.contacts (instance_id, chat_id, status, checked_at, refresh_at, refresh_step)
       select $1, 78000000000 + n || '@c.us', 'present', now() - interval '1 day', now() + n * interval '1 min', 18
       from generate_series(1, $2::int) n returning id
     ), avatars as (
       insert into avatars.avatars (contact_id, url, version, changed_at, seen_at)
       select id, 'https://pps.whatsapp.net/old.jpg?oe=' || repeat('f', 100), '/old.jpg', now() - interval '1 day', now() - interval '1 day'
       from grown
     )
     insert into avatars.resync_runs (instance_id, kind, ended_at) select $1, 'manual', now() from grown`,
    [instanceId, grownRows],
  );
}

beforeAll(async () => {
  database = await openTestDatabase();
  instanceId = await addInstance(database);
  const { rows } = await database.pool.query<{ name: string }>(
    "select c.oid::regclass::text as name from pg_class c where c.relnamespace = 'avatars'::regnamespace and c.relkind = 'r'",
  );
  // The statistics that there are, and no others: new ones would have the plans made anew.
  for (const { name } of rows)
    await database.pool.query(`alter table ${name} set (autovacuum_enabled = off)`);
  await database.pool.query("vacuum (analyze)");
  const options = { maxConnections: 1, readsByIndex: true };
  explained = await openExplained(database, options, [
    "auto_explain.log_analyze = on",
    "auto_explain.log_buffers = on",
    "auto_explain.log_timing = off",
  ]);
});
afterAll(async () => {
  await explained?.close();
  await database?.close();
});

describe("a statement that was prepared while the tables were empty and analysed", () => {
  const before = new Map<string, number>();
  beforeAll(async () => {
    for (const statement of statements)
      for (let n = 0; n < timesPrepared; n += 1) before.set(statement.name, (await execute(statement)).pages);
    await grow(database);
  });

  test.each(statements)("touches no more pages once they have grown: $name", async (statement) => {
    const { pages, wholly } = await execute(statement);
    expect(wholly).toEqual([]);
    expect(pages).toBeLessThan((before.get(statement.name) ?? 0) * mostGrowth);
  });
});

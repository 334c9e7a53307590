import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { migrateQueue } from "../../src/queue/migrate-queue.ts";
import { openDatabase } from "../../src/store/postgres/database.ts";
import { migrateLedger } from "../../src/store/postgres/migrate.ts";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { makeChats } from "../support/stage.ts";

const instanceId = "1101000001";
const role = `crm_${randomUUID().replaceAll("-", "")}`;

let stage: ApiStage;
let crm: pg.Client;

beforeAll(async () => {
  stage = await openApiStage();
  const { pool, url } = stage.database;
  const asRole = new URL(url);
  asRole.username = role;
  asRole.password = "crm";
  // As PostgreSQL up to 14 had it for everybody, and keeps it when it is upgraded.
  await pool.query(
    `create role ${role} login password 'crm'; grant usage on schema avatars to ${role}; grant create on schema public to ${role}`,
  );
  crm = new pg.Client(asRole.href);
  await crm.connect();
});
afterAll(async () => {
  await crm.end();
  await stage.database.pool.query(`drop owned by ${role}; drop role ${role}`);
  await stage.close();
});

/** What the role makes of functions of the server, more fitting than these for what the product calls them with. */
const shadows = [
  ["cardinality", "text[]", "integer"],
  ["array_position", "text[], text", "integer"],
  ["greatest_of", "bigint, bigint", "bigint"],
  ["lower", "text", "text"],
  ["concat_ws", "text, uuid, timestamptz, timestamptz, timestamptz, bigint", "text"],
  ["to_timestamp", "double precision", "timestamptz"],
  ["floor", "double precision", "double precision"],
  ["power", "double precision, double precision", "double precision"],
  ["ceil", "double precision", "double precision"],
  ["hashtextextended", "text, integer", "bigint"],
  ["now", "", "timestamptz"],
  ["clock_timestamp", "", "timestamptz"],
  ["substr", "text, integer, integer", "text"],
] as const;

async function makeShadows(): Promise<void> {
  await crm.query("create table public.run (what text); grant insert on public.run to public");
  for (const [name, parameters, result] of shadows) {
    await crm.query(
      `create function public.${name}(${parameters}) returns ${result} language plpgsql as $$
       begin insert into public.run values ('${name}'); return null; end $$`,
    );
  }
  // An operator that fits better than the server's own, which takes two steps to compare these.
  await crm.query(
    `create function public.at_least(smallint, bigint) returns boolean language plpgsql as $$
     begin insert into public.run values ('>='); return true; end $$;
     create operator public.>= (leftarg = smallint, rightarg = bigint, function = public.at_least);
     create table public.contacts (id bigint); create table public.batches (id uuid)`,
  );
}

async function readRun(): Promise<string[]> {
  const { rows } = await crm.query<{ what: string }>("select distinct what from public.run order by 1");
  return rows.map(({ what }) => what);
}

describe("a role that may create objects in public", () => {
  test("has none of them run by the product", async () => {
    await stage.addInstance(instanceId);
    await makeShadows();
    await stage.startWorker();
    const [chat = "", ...chats] = makeChats(5, 1);
    await crm.query("select avatars.enqueue($1, $2)", [instanceId, chats]);
    const batch = await stage.call("/v1/batches", { method: "POST", json: { instanceId, chatIds: [chat] } });
    expect(batch.status).toBe(202);
    const stream = await stage.call(`/v1/batches?instanceId=${instanceId}`, {
      method: "POST",
      headers: { "content-type": "text/plain", "idempotency-key": "one" },
      body: `${chats.join("\n")}\n`,
    });
    expect(stream.status).toBe(202);
    const id = String(batch.json()["id"]);
    const contact = `/v1/instances/${instanceId}/contacts/${chat}`;
    await eventually(async () =>
      expect((await stage.call(`/v1/batches/${id}`)).json()).toMatchObject({ state: "done" }),
    );
    for (const [path, method] of [
      [`${contact}/refresh`, "POST"],
      ["/v1/batches", "GET"],
      [`/v1/batches/${id}/items`, "GET"],
      [`/v1/batches/${id}/results.csv`, "GET"],
      [`${contact}/history`, "GET"],
      ["/v1/changes", "GET"],
      ["/v1/resync/plan", "GET"],
      ["/metrics", "GET"],
      [`/v1/batches/${id}/cancel`, "POST"],
      [`/v1/batches/${id}/retry`, "POST"],
      [contact, "DELETE"],
    ] as const) {
      expect([path, (await stage.call(path, { method })).status]).toEqual([
        path,
        expect.toBeOneOf([200, 202, 204]),
      ]);
    }
    expect(await readRun()).toEqual([]);
  });

  test("would have had them run by a session that does not pin its path", async () => {
    await stage.database.pool.query(
      `begin; set local search_path = "$user", public; select cardinality(array['x']::text[]); commit`,
    );
    expect(await readRun()).toEqual(["cardinality"]);
  });
});

describe("the schema", () => {
  test("has no function that looks names up where a caller says", async () => {
    const { rows } = await stage.database.pool.query<{ name: string; path: string | null }>(
      `select p.proname as name,
         coalesce((select setting from unnest(p.proconfig) setting where setting like 'search\\_path=%'),
           case when p.prosqlbody is not null then 'bound when made' end) as path
       from pg_proc p where p.pronamespace = 'avatars'::regnamespace order by 1`,
    );
    const pinned = "search_path=pg_catalog, pg_temp";
    expect(rows.length).toBeGreaterThanOrEqual(5);
    for (const { name, path } of rows) {
      expect([name, path]).toEqual([name, expect.toBeOneOf([pinned, "bound when made"])]);
    }
    expect(rows).toContainEqual({ name: "is_fresh", path: "bound when made" });
    expect(rows).toContainEqual({ name: "accept", path: pinned });
  });

  test("has a plan without a call for is_fresh, which is asked of each row", async () => {
    const { rows } = await stage.database.pool.query<{ "QUERY PLAN": string }>(
      "explain verbose select from avatars.contacts c where avatars.is_fresh(c, now())",
    );
    const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
    expect(plan).toContain("checked_at >= now()");
    expect(plan).not.toContain("is_fresh");
  });
});

describe("the product's own connections", () => {
  test.each(["public", "another"])("do not look into %s", async (schema) => {
    const { pool } = stage.database;
    await pool.query(`create schema if not exists ${schema}; create table ${schema}.only_here (id integer)`);
    await expect(pool.query("select from only_here")).rejects.toMatchObject({ code: "42P01" });
    const { rows } = await pool.query("select current_setting('search_path') as path");
    expect(rows).toEqual([{ path: "pg_catalog,pg_temp" }]);
  });

  test("keep their path and their waits where DATABASE_URL has options of its own", async () => {
    const url = new URL(stage.database.url);
    url.searchParams.set("options", "-c work_mem=5MB -c search_path=public -c lock_timeout=0");
    const deadlines = { connectMs: 10_000, statementMs: 60_000, lockMs: 1_234 };
    const { pool, close } = await openDatabase({ url: url.href, maxConnections: 1, deadlines });
    const { rows } = await pool.query(
      `select current_setting('search_path') as path, current_setting('lock_timeout') as lock, current_setting('work_mem') as memory`,
    );
    await migrateLedger(pool);
    await migrateQueue(url.href);
    await close();
    expect(rows).toEqual([{ path: "pg_catalog,pg_temp", lock: "1234ms", memory: "5MB" }]);
  });
});

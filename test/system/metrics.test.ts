import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { runAsAdmin } from "../support/run-as-admin.ts";
import type { CliRun } from "../support/run-cli.ts";
import { findSample, parseMetrics } from "../support/scrape.ts";
import { makeChats, openStage, printedBy, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const token = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";

describe("the metrics of a worker", () => {
  let stage: Stage;
  let worker: CliRun;
  let url: string;

  beforeAll(async () => {
    stage = await openStage({ env: { METRICS_PORT: "0" } });
    await stage.addInstance(instanceId, { rps: 40, token });
    await stage.acceptChats(instanceId, makeChats(10_000));
    worker = await stage.startWorker();
    await printedBy(worker, "metrics served");
    const [, port] = /"port":(\d+),"msg":"metrics served"/.exec(worker.printed()) ?? [];
    url = `http://127.0.0.1:${port}`;
  });

  afterAll(() => stage.close());

  const countReports = async () => {
    const { rows } = await stage.database.pool.query("select from avatars.worker_activity");
    return rows.length;
  };

  const rename = (from: string, to: string) =>
    stage.database.pool.query(`alter table avatars.instances rename column ${from} to ${to}`);

  async function scrape() {
    const response = await fetch(`${url}/metrics`);
    expect(response.status).toBe(200);
    const text = await response.text();
    const samples = parseMetrics(text);
    return {
      text,
      of: (name: string, labels?: Record<string, string>) => findSample(samples, name, labels) ?? Number.NaN,
    };
  }

  test("show its work, and neither the token nor any chat", async () => {
    await eventually(async () => {
      const { of } = await scrape();
      expect(of("avatars_calls_total", { instance_id: instanceId, outcome: "present" })).toBeGreaterThan(5);
      expect(of("avatars_contacts_due", { instance_id: instanceId })).toBeGreaterThan(1_000);
      expect(of("avatars_instance_state", { instance_id: instanceId, state: "active" })).toBe(1);
    });
    const { text, of } = await scrape();
    expect(of("avatars_database_up")).toBe(1);
    expect(of("avatars_instance_calls_allowed_per_second", { instance_id: instanceId })).toBe(40);
    expect(text).not.toContain(token.slice(0, 12));
    // A number of seconds or bytes may have the first digits of a chat, too.
    expect(text).not.toMatch(/(?<![\d.])79001\d{6}/);
    expect(text).not.toContain("@c.us");
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  });

  test("are refused to a second worker on the same port, which says so and ends", async () => {
    const { port } = new URL(url);
    const second = await stage.run(["worker"], { env: { METRICS_PORT: port } });
    expect(second).toMatchObject({ code: 2, stdout: "" });
    expect(second.stderr).toContain(`avatars: METRICS_PORT: cannot listen on port ${port} of 127.0.0.1`);
  });

  test("are still there while Postgres is not", async () => {
    const name = new URL(stage.database.url).pathname.slice(1);
    await runAsAdmin(`alter database ${name} allow_connections false`);
    await runAsAdmin(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}' and application_name <> 'x'`,
    );
    await eventually(async () => expect((await scrape()).of("avatars_database_up")).toBe(0));
    const { of } = await scrape();
    expect(of("avatars_calls_total", { instance_id: instanceId, outcome: "present" })).toBeGreaterThan(5);
    await runAsAdmin(`alter database ${name} allow_connections true`);
    await eventually(async () => {
      const { of: ofNow } = await scrape();
      expect(ofNow("avatars_database_up")).toBe(1);
      expect(ofNow("avatars_instance_state", { instance_id: instanceId, state: "active" })).toBe(1);
    });
  });

  test("go on while the database is of another version, and the log says what to do", async () => {
    await rename("lease_epoch", "lease_number");
    await eventually(() =>
      expect(worker.printed()).toContain("ledger is of another version: stop this process"),
    );
    await rename("lease_number", "lease_epoch");
    expect((await scrape()).of("avatars_database_up")).toBe(1);
  });

  test("end with the worker, which leaves no report behind", async () => {
    await eventually(async () => expect(await countReports()).toBe(1));
    worker.child.kill("SIGTERM");
    expect(await worker.ended).toMatchObject({ code: 0 });
    await expect(fetch(`${url}/healthz`)).rejects.toThrow("fetch failed");
    expect(await countReports()).toBe(0);
  });
});

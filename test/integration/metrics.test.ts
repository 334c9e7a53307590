import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { InstanceGauges } from "../../src/domain/views/instance-gauges.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { Outcome } from "../../src/domain/outcome.ts";
import type { ResyncPlan } from "../../src/domain/resync/plan-resync.ts";
import type { ResyncRun } from "../../src/domain/resync/resync-run.ts";
import { createMetrics, type Metrics, type MetricsPorts } from "../../src/metrics/create-metrics.ts";
import { serveMetrics, type MetricsServer } from "../../src/metrics/serve-metrics.ts";
import { findSample, parseMetrics } from "../support/scrape.ts";

const [one, other] = ["1101000001" as InstanceId, "1101000002" as InstanceId];
const gauges: InstanceGauges = {
  instanceId: one,
  state: "active",
  heldReason: undefined,
  requestsPerSecond: 10,
  callsAllowed: 5,
  marginMs: 18,
  maxInFlight: undefined,
  waitMs: 0,
  oldestDueAgeMs: 5_000,
  workers: 1,
  callsPerSecond: 0,
  latencyMs: undefined,
};
const held: InstanceGauges = {
  ...gauges,
  instanceId: other,
  state: "held",
  heldReason: "not-authorized",
  oldestDueAgeMs: undefined,
};

const night: ResyncRun & { nightAt: Date } = {
  id: 1,
  instanceId: one,
  kind: "night",
  nightAt: new Date("2026-11-27T02:00:00Z"),
  openedAt: new Date("2026-11-27T02:00:01Z"),
  endedAt: new Date("2026-11-27T06:00:00Z"),
  endedBy: "window-over",
  due: 120,
  planned: 100,
  asked: 90,
  underWay: 0,
  changed: 9,
  throttled: 2,
  leftOver: 30,
};
const plan: ResyncPlan = {
  instanceId: one,
  state: "active",
  dueNow: { requested: 0, "never-asked": 1, "expiring-url": 5, age: 9 },
  due: { requested: 0, "never-asked": 1, "expiring-url": 5, age: 9 },
  calls: 10,
  fits: 10,
  finishesAt: undefined,
  leftOver: { requested: 0, "never-asked": 0, "expiring-url": 0, age: 5 },
  waitsUntil: undefined,
  stretch: 1.5,
};

const neverAsked = () => Promise.reject(new Error("not asked for"));
const onError = (error: Error) => {
  throw error;
};
const open: MetricsServer[] = [];
afterAll(async () => {
  for (const server of open) await server.close();
});

async function serve(ports: Partial<MetricsPorts> = {}): Promise<{ metrics: Metrics; url: string }> {
  const metrics = createMetrics({
    readGauges: async () => [gauges, held],
    countBacklog: async () => [{ instanceId: one, due: 900, waiting: 100 }],
    readResync: async () => ({ night: undefined, runs: new Map() }),
    planResync: async () => [],
    readImages: async () => undefined,
    readWebhooks: async () => [],
    ...ports,
  });
  const server = await serveMetrics({ host: "127.0.0.1", port: 0, scrape: metrics.scrape, onError });
  open.push(server);
  return { metrics, url: `http://127.0.0.1:${server.port}` };
}

async function scrape(url: string) {
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  const text = await response.text();
  const samples = parseMetrics(text);
  return { text, of: (name: string, labels?: Record<string, string>) => findSample(samples, name, labels) };
}

const answer = ({ events }: Metrics, kind: Outcome["kind"], tookMs: number, instanceId = one) =>
  events.lookedUp({ instanceId, lookup: { tookMs, outcome: { kind, scope: "chat" } as Outcome } });

describe("a scrape", () => {
  let metrics: Metrics;
  let url: string;

  beforeAll(async () => {
    ({ metrics, url } = await serve());
  });

  test("counts calls by outcome, and how long they take, whatever the instance", async () => {
    for (const tookMs of [20, 300, 65_000]) answer(metrics, "present", tookMs);
    answer(metrics, "throttled", 10);
    answer(metrics, "absent", 30, other);
    const { of } = await scrape(url);
    expect(of("avatars_calls_total", { instance_id: one, outcome: "present" })).toBe(3);
    expect(of("avatars_calls_total", { instance_id: one, outcome: "throttled" })).toBe(1);
    expect(of("avatars_calls_total", { instance_id: other, outcome: "absent" })).toBe(1);
    expect(of("avatars_call_duration_seconds_count")).toBe(5);
    expect(of("avatars_call_duration_seconds_sum")).toBeCloseTo(65.36);
    expect(of("avatars_call_duration_seconds_bucket", { le: "60" })).toBe(4);
    expect(of("avatars_call_duration_seconds_bucket", { le: "75" })).toBe(5);
  });

  test("tells calls in flight, holds and delayed saves of this process", async () => {
    metrics.watch(() => [
      { instanceId: one, inFlight: 7, callsPerSecond: 1, recentCalls: 1, recentThrottled: 0, latencyMs: 20 },
    ]);
    metrics.events.instanceHeld({ instanceId: other, hold: { reason: "not-authorized" } });
    metrics.events.saveDelayed();
    const { of } = await scrape(url);
    expect(of("avatars_calls_in_flight", { instance_id: one })).toBe(7);
    expect(of("avatars_holds_total", { instance_id: other, reason: "not-authorized" })).toBe(1);
    expect(of("avatars_save_delays_total")).toBe(1);
    metrics.watch(() => []);
    expect((await scrape(url)).of("avatars_calls_in_flight", { instance_id: one })).toBeUndefined();
  });

  test("tells what the database knows of each instance", async () => {
    const { of } = await scrape(url);
    expect(of("avatars_database_up")).toBe(1);
    for (const state of ["active", "held", "paused"]) {
      expect(of("avatars_instance_state", { instance_id: one, state })).toBe(state === "active" ? 1 : 0);
      expect(of("avatars_instance_state", { instance_id: other, state })).toBe(state === "held" ? 1 : 0);
    }
    expect(of("avatars_instance_held", { instance_id: other, reason: "not-authorized" })).toBe(1);
    expect(of("avatars_instance_held", { instance_id: one })).toBeUndefined();
    expect(of("avatars_instance_needs_person", { instance_id: one })).toBe(0);
    expect(of("avatars_instance_needs_person", { instance_id: other })).toBe(1);
    expect(of("avatars_instance_calls_allowed_per_second", { instance_id: one })).toBe(5);
    expect(of("avatars_instance_margin_seconds", { instance_id: one })).toBe(0.018);
    expect(of("avatars_oldest_due_age_seconds", { instance_id: one })).toBe(5);
    expect(of("avatars_oldest_due_age_seconds", { instance_id: other })).toBe(0);
    expect(of("avatars_contacts_due", { instance_id: one })).toBe(900);
    expect(of("avatars_contacts_waiting", { instance_id: one })).toBe(100);
    expect(of("avatars_contacts_due", { instance_id: other })).toBe(0);
    expect(of("avatars_instance_drain_seconds", { instance_id: one })).toBe(100);
  });

  test("tells where the resync stands: what is due, and of the night that is open or was the last", async () => {
    const { url } = await serve({
      readResync: async () => ({
        night: {
          slotAt: night.nightAt,
          openedAt: night.openedAt,
          preparedAt: night.openedAt,
          source: { added: 0, gone: 0, rejected: 0, error: "source-unreachable" },
        },
        runs: new Map([
          [
            one,
            {
              open: { ...night, endedAt: undefined, leftOver: undefined, asked: 40 },
              lastNight: night,
              lastManual: undefined,
            },
          ],
          [
            other,
            {
              open: { ...night, instanceId: other, kind: "trickle", asked: 7 },
              lastNight: { ...night, instanceId: other },
              lastManual: undefined,
            },
          ],
        ]),
      }),
      planResync: async () => [plan],
    });
    const { of } = await scrape(url);
    expect(of("avatars_resync_night_timestamp_seconds")).toBe(night.nightAt.getTime() / 1000);
    expect(of("avatars_resync_source_failed")).toBe(1);
    expect(of("avatars_resync_open", { instance_id: one, kind: "night" })).toBe(1);
    expect(of("avatars_resync_open", { instance_id: other, kind: "trickle" })).toBe(1);
    expect(of("avatars_resync_night_asked", { instance_id: one })).toBe(40);
    expect(of("avatars_resync_night_left_over", { instance_id: one })).toBeUndefined();
    for (const [name, value] of Object.entries({
      due: 120,
      planned: 100,
      asked: 90,
      changed: 9,
      left_over: 30,
      throttled: 2,
    }))
      expect(of(`avatars_resync_night_${name}`, { instance_id: other }), name).toBe(value);
    expect(of("avatars_refresh_due", { instance_id: one, cause: "expiring-url" })).toBe(5);
    expect(of("avatars_refresh_stretch", { instance_id: one })).toBe(1.5);
    // Nothing is made up where nothing is known.
    expect((await scrape((await serve()).url)).of("avatars_resync_night_timestamp_seconds")).toBeUndefined();
  });

  test("holds the process's own metrics, and no label that grows but that of the instance", async () => {
    const { text, of } = await scrape(url);
    expect(of("process_cpu_seconds_total")).toBeGreaterThan(0);
    const names = new Set(
      parseMetrics(text)
        .filter(({ name }) => name.startsWith("avatars_"))
        .flatMap(({ labels }) => Object.keys(labels)),
    );
    expect(names).toEqual(new Set(["instance_id", "outcome", "le", "reason", "state"]));
  });

  test("holds what the documentation says, and nothing of ours besides", async () => {
    const { text } = await scrape(url);
    const types = [...text.matchAll(/^# TYPE (avatars_\w+) /gm)].map(([, name]) => name);
    const page = await readFile(new URL("../../docs/operations.md", import.meta.url), "utf8");
    const documented = [...page.matchAll(/^\| `(avatars_\w+)`/gm)].map(([, name]) => name);
    expect(new Set(types)).toEqual(new Set(documented));
  });
});

describe("while Postgres is away, a scrape", () => {
  test("answers with what the process itself knows, and says so", async () => {
    let isAway = true;
    const { metrics, url } = await serve({
      readGauges: async () => {
        if (isAway) throw new Error("ECONNREFUSED");
        return [gauges];
      },
    });
    answer(metrics, "present", 20);
    const { of } = await scrape(url);
    expect(of("avatars_database_up")).toBe(0);
    expect(of("avatars_calls_total", { instance_id: one })).toBe(1);
    expect(of("avatars_instance_state", { instance_id: one, state: "active" })).toBeUndefined();
    expect(of("avatars_contacts_due", { instance_id: one })).toBeUndefined();
    isAway = false;
    const later = await scrape(url);
    expect(later.of("avatars_database_up")).toBe(1);
    expect(later.of("avatars_contacts_due", { instance_id: one })).toBe(900);
  });

  test("that cannot count does without the counts alone", async () => {
    const { url } = await serve({ countBacklog: () => Promise.reject(new Error("timeout")) });
    const { of } = await scrape(url);
    expect(of("avatars_database_up")).toBe(1);
    expect(of("avatars_oldest_due_age_seconds", { instance_id: one })).toBe(5);
    expect(of("avatars_contacts_due", { instance_id: one })).toBeUndefined();
    expect(of("avatars_instance_drain_seconds", { instance_id: one })).toBeUndefined();
  });
});

describe("the metrics server", () => {
  test("says that the process lives, and what else there is", async () => {
    const { url } = await serve();
    const health = await fetch(`${url}/healthz`);
    expect([health.status, await health.text()]).toEqual([200, "ok\n"]);
    expect((await fetch(url)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: "POST" })).status).toBe(405);
    expect((await fetch(`${url}/metrics?name[]=x`, { method: "HEAD" })).status).toBe(200);
  });

  test("names the port that it cannot have", async () => {
    const taken = createServer().listen(0, "127.0.0.1");
    await once(taken, "listening");
    const { port } = taken.address() as AddressInfo;
    await expect(
      serveMetrics({ host: "127.0.0.1", port, scrape: neverAsked, onError }),
    ).rejects.toMatchObject({
      name: "UserError",
      message: `METRICS_PORT: cannot listen on port ${port} of 127.0.0.1 (EADDRINUSE): choose another port, or check METRICS_HOST`,
    });
    taken.close();
  });
});

test("images are shown where they are kept, and left out where they are off", async () => {
  const kept = { wanted: 3, oldestWantedSeconds: 90, images: 40, bytes: 4_000_000, shown: 45, present: 50 };
  const { metrics, url } = await serve({ readImages: async () => kept });
  metrics.images.imageTried({ outcome: "taken", error: undefined, bytes: 1_000 });
  metrics.images.imageTried({ outcome: "failed", error: "deadline", bytes: 0 });
  metrics.images.imagesSettled({ sameImage: 2, otherImage: 1 });
  const text = await (await fetch(`${url}/metrics`)).text();
  expect(text).toMatch(/^avatars_image_tries_total\{outcome="failed",error="deadline"\} 1$/m);
  expect(text).toMatch(/^avatars_image_bytes_total 1000$/m);
  expect(text).toMatch(/^avatars_image_same_total 2$/m);
  expect(text).toMatch(/^avatars_images_wanted 3$/m);
  expect(text).toMatch(/^avatars_images_oldest_wanted_seconds 90$/m);
  expect(text).toMatch(/^avatars_images_mirrored_ratio 0\.9$/m);
  const { url: off } = await serve();
  expect(await (await fetch(`${off}/metrics`)).text()).not.toMatch(/^avatars_images_wanted /m);
});

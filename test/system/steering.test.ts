import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { listBackends } from "../support/backends.ts";
import { eventually } from "../support/eventually.ts";
import { findOverfullSecond } from "../support/sliding-second.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const rate = 40;
/** A change takes effect within this, says docs/commands.md: so many calls go on as before at most. */
const effectMs = 2_000;

let stage: Stage;

const readCalls = () => stage.simulator.readLog({ instanceId, method: "getAvatar" });

async function awaitCalls(count: number): Promise<void> {
  const before = readCalls().length;
  await eventually(() => expect(readCalls().length).toBeGreaterThan(before + count));
}

/** When it was called. */
function listMoments(after = -Infinity): number[] {
  return readCalls()
    .map(({ at }) => at)
    .filter((at) => at > after);
}

/** What a command prints that does what it is told, without a word of warning. */
async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await stage.run(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout;
}

async function countLeases(): Promise<number> {
  const { rows } = await stage.database.pool.query(
    "select from avatars.instances where lease_owner is not null",
  );
  return rows.length;
}

async function readState(): Promise<string | undefined> {
  const { rows } = await stage.database.pool.query<{ state: string }>("select state from avatars.instances");
  return rows[0]?.state;
}

describe.each(listBackends())("an instance that is worked on, with the queue in $name", (backend) => {
  beforeAll(async () => {
    stage = await openStage({ backend });
    await stage.addInstance(instanceId, { rps: rate });
    await stage.acceptChats(instanceId, makeChats(10_000));
    // Whichever of them works on it.
    await Promise.all([stage.startWorker(), stage.startWorker()]);
  });

  afterAll(() => stage.close());

  test("is called no more once it is paused, and again once it is resumed", async () => {
    await awaitCalls(rate);
    expect(await run("instance", "pause", instanceId)).toMatch(/^instance 1101000001 paused/);
    const before = readCalls().length;
    await eventually(async () => expect(await countLeases()).toBe(0));
    const after = readCalls().length;
    expect(after - before).toBeLessThan(rate * (effectMs / 1000));
    expect(await run("instance", "pause", instanceId)).toBe("instance 1101000001 is paused already\n");
    expect(readCalls().length).toBe(after);

    expect(await run("instance", "resume", instanceId)).toBe("instance 1101000001 resumed\n");
    await awaitCalls(rate);
  });

  test("is called at the rate that it is set to while it is worked on", async () => {
    expect(await run("instance", "set", instanceId, "--rps", "10")).toBe(
      "instance 1101000001: calls/s 40 → 10\n",
    );
    const setBy = performance.timeOrigin + performance.now();
    await eventually(() => expect(listMoments(setBy + effectMs).length).toBeGreaterThan(25));
    // How strictly the rate is kept is other tests' business: here it is which rate.
    expect(findOverfullSecond(listMoments(setBy + effectMs), 15)).toBeUndefined();

    expect(await run("instance", "set", instanceId, "--rps", "default", "--label", "shop")).toBe(
      "instance 1101000001: calls/s 10 → 900 (default)\ninstance 1101000001: label (none) → shop\n",
    );
    await eventually(() => expect(findOverfullSecond(listMoments(), 4 * rate)).toBeDefined());
  });

  test("is tried again at once by a resume while it is held, and goes on when it is well", async () => {
    stage.simulator.setState(instanceId, "notAuthorized");
    await eventually(async () => expect(await readState()).toBe("held"));
    await stage.database.pool.query("update avatars.instances set held_until = now() + interval '1 hour'");
    stage.simulator.setState(instanceId, "authorized");
    const tried = await run("instance", "resume", instanceId);
    expect(tried).toBe("instance 1101000001 is held: it is tried again at once\n");
    await awaitCalls(3);
    expect(await readState()).toBe("active");
  });
});

describe("what is told of an instance", () => {
  beforeAll(async () => {
    stage = await openStage();
    await stage.addInstance(instanceId, { rps: rate, token: "d75b3a66374942c5" });
    await stage.acceptChats(instanceId, makeChats(10_000));
    await stage.startWorker();
  });

  afterAll(() => stage.close());

  test("while it is worked on, is how fast it goes and how long it takes", async () => {
    await awaitCalls(3 * rate);
    await eventually(async () => {
      const { instances } = JSON.parse(await run("status", "--json")) as {
        instances: [{ callsPerSecond: number; etaMs?: number }];
      };
      expect(instances).toMatchObject([
        { instanceId, state: "active", workers: 1, callsAllowed: rate, throttledShare: 0 },
      ]);
      expect(instances[0].callsPerSecond).toBeGreaterThan(1);
      expect(instances[0].etaMs).toBeGreaterThan(1_000);
    });
    const [table, shown, json] = await Promise.all([
      run("status"),
      run("instance", "show", instanceId),
      run("instance", "show", instanceId, "--json"),
    ]);
    expect(table).toMatch(/^1101000001 +active +\d+ +\d+ +[\d.]+\/40 +0 % .* s /m);
    expect(shown).toMatch(/^rate +40 calls\/s$/m);
    expect(shown).toMatch(/^max in flight +from the rate and the time that answers take$/m);
    expect(shown).toMatch(/^answers take +\d+ ms on average$/m);
    expect(shown).toMatch(/^contacts +present \d+, absent \d+, /m);
    expect(JSON.parse(json)).toMatchObject({
      instanceId,
      apiUrl: stage.simulator.url,
      requestsPerSecond: rate,
      workers: 1,
    });
    for (const text of [table, shown, json]) expect(text).not.toContain("d75b3a66");
  });

  test("while it is held, is why and what to do, and a health check fails for it", async () => {
    stage.simulator.setState(instanceId, "notAuthorized");
    await eventually(async () => expect(await readState()).toBe("held"));
    const [check, lenient, shown, list] = await Promise.all([
      stage.run(["status", "--check"]),
      run("status", "--check", "--ignore-held"),
      run("instance", "show", instanceId),
      run("instance", "list"),
    ]);
    expect(check).toMatchObject({ code: 1, stdout: "" });
    expect(check.stderr).toMatch(/instance 1101000001 are due and it is held: .*logged out.*QR code/);
    expect(lenient).toMatch(/^ok: /);
    expect(shown).toMatch(/^state +held \(not-authorized\): the instance is logged out/m);
    expect(shown).toMatch(/^to do +scan the QR code/m);
    expect(list).toMatch(/^1101000001 +held: the instance is logged out/m);
  });

  test("while it is paused, is how that ends", async () => {
    stage.simulator.setState(instanceId, "authorized");
    await run("instance", "pause", instanceId);
    const [status, list, check] = await Promise.all([
      run("status"),
      run("instance", "list"),
      run("status", "--check"),
    ]);
    expect(status).toContain("1101000001 is paused: go on with npx avatars instance resume 1101000001");
    expect(list).toMatch(/^1101000001 +paused/m);
    expect(check).toMatch(/^ok: /);
    await run("instance", "resume", instanceId);
    const again = await run("instance", "resume", instanceId);
    expect(again).toBe("instance 1101000001 is active already\n");
  });

  test("is refused where there is none, and a change must say what", async () => {
    const [unknown, unchanged, unsaid, wrong] = await Promise.all([
      stage.run(["instance", "pause", "1101000009"]),
      stage.run(["instance", "set", instanceId, "--rps", String(rate)]),
      stage.run(["instance", "set", instanceId]),
      stage.run(["instance", "set", instanceId, "--rps", "fast"]),
    ]);
    expect(unknown).toMatchObject({ code: 2, stdout: "" });
    expect(unknown.stderr).toMatch(
      /^avatars: there is no instance 1101000009: see npx avatars instance list/,
    );
    expect(unchanged).toMatchObject({ code: 0, stdout: "instance 1101000001 is set so already\n" });
    expect(unsaid).toMatchObject({ code: 2, stdout: "" });
    expect(unsaid.stderr).toMatch(
      /^avatars: say what to change: --rps, --max-in-flight, --resync-share, .*--label or --url/,
    );
    expect(wrong).toMatchObject({ code: 2, stdout: "" });
  });
});

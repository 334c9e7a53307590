import { afterAll, beforeAll, expect, test } from "vitest";
import { openApiStage, type ApiStage } from "../support/api-stage.ts";
import { eventually } from "../support/eventually.ts";
import { runCli } from "../support/run-cli.ts";
import { makeChats, secretKey } from "../support/stage.ts";

const probeBaseMs = 300;
let stage: ApiStage;

beforeAll(async () => {
  stage = await openApiStage({
    workerEnv: {
      AVATARS_MAX_IN_FLIGHT: "8",
      AVATARS_PROBE_BASE_MS: String(probeBaseMs),
      AVATARS_PROBE_MAX_MS: "600",
    },
  });
  await stage.startWorker();
});
afterAll(() => stage.close());

const makeGroups = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => `12036304396${String(from + index).padStart(7, "0")}@g.us`);

/** An instance with these contacts, half of which wait for an answer that does not come: users, or groups. */
async function addTorn(id: string, silent: readonly string[], answered: readonly string[]): Promise<void> {
  await stage.addInstance(id);
  for (const chatId of silent)
    stage.simulator.script({ instanceId: id, chatId, answers: ["chat-timeout"], times: "forever" });
  for (const chatId of [...silent, ...answered]) stage.simulator.setTruth({ chatId, kind: "present" });
  // In turn, as a list of a phone has them.
  await enqueue(
    id,
    silent.flatMap((chatId, at) => [answered[at] ?? chatId, chatId]),
  );
}

async function enqueue(instanceId: string, chatIds: readonly string[]): Promise<void> {
  const answer = await stage.call("/v1/batches", {
    method: "POST",
    json: { instanceId, chatIds, maxAge: "0" },
  });
  expect(answer.status).toBe(202);
}

async function readHeld(id: string): Promise<unknown> {
  const { state, heldReason } = (await stage.call(`/v1/instances/${id}`)).json();
  return { state, heldReason };
}

async function readContacts(id: string, chatIds: readonly string[]) {
  const { rows } = await stage.database.pool.query<{ status: string; attempts: number; rests: boolean }>(
    `select status, attempts, due_at is null as rests from avatars.contacts
     where instance_id = $1 and chat_id = any ($2) order by chat_id`,
    [id, chatIds],
  );
  return rows;
}

const answered = { status: "present", attempts: 1, rests: true };
const unharmed = { status: "unknown", attempts: 0, rests: false };
const repeat = <T>(count: number, one: T) => Array.from({ length: count }, () => one);

test("users that time out while groups answer are not charged, and groups are asked on", async () => {
  const id = "1101000001";
  const [users, groups] = [makeChats(24), makeGroups(24)];
  await addTorn(id, users, groups);
  await eventually(async () =>
    expect(await readHeld(id)).toEqual({ state: "held", heldReason: "users-timing-out" }),
  );
  const later = makeGroups(12, 100);
  for (const chatId of later) stage.simulator.setTruth({ chatId, kind: "present" });
  await enqueue(id, later);
  await eventually(async () =>
    expect(await readContacts(id, [...groups, ...later])).toEqual(repeat(36, answered)),
  );
  const log = stage.simulator.readLog({ instanceId: id, method: "getAvatar" });
  expect(await readContacts(id, users)).toEqual(repeat(24, unharmed));
  expect(await readHeld(id)).toEqual({ state: "held", heldReason: "users-timing-out" });
  // Probes ask users, one at a time.
  await eventually(() => {
    const since = stage.simulator.readLog({
      instanceId: id,
      method: "getAvatar",
      fromIndex: (log.at(-1)?.index ?? 0) + 1,
    });
    expect(since.length).toBeGreaterThanOrEqual(2);
    expect(since.every(({ chatId }) => users.includes(chatId))).toBe(true);
  });
  expect(await readContacts(id, users)).toEqual(repeat(24, unharmed));

  const env = { DATABASE_URL: stage.database.url, AVATARS_SECRET_KEY: secretKey };
  const { stdout } = await runCli(["status"], { env });
  expect(stdout).toMatch(/^1101000001 is held since \S+: users time out, groups answer; next try /m);

  for (const chatId of users) stage.simulator.clearScripts({ instanceId: id, chatId });
  await eventually(async () => expect(await readContacts(id, users)).toEqual(repeat(24, answered)));
  expect(await readHeld(id)).toEqual({ state: "active", heldReason: null });
});

test("groups that time out while users answer hold no user up", async () => {
  const id = "1101000002";
  const [users, groups] = [makeChats(24, 100), makeGroups(24, 200)];
  await addTorn(id, groups, users);
  await eventually(async () =>
    expect(await readHeld(id)).toEqual({ state: "held", heldReason: "groups-timing-out" }),
  );
  const later = makeChats(12, 200);
  for (const chatId of later) stage.simulator.setTruth({ chatId, kind: "present" });
  await enqueue(id, later);
  await eventually(async () =>
    expect(await readContacts(id, [...users, ...later])).toEqual(repeat(36, answered)),
  );
  expect(await readContacts(id, groups)).toEqual(repeat(24, unharmed));
});

test("when groups time out, too, the whole instance is held", async () => {
  const id = "1101000003";
  const [users, groups] = [makeChats(24, 300), makeGroups(24, 300)];
  await addTorn(id, users, groups);
  await eventually(async () => expect(await readHeld(id)).toMatchObject({ heldReason: "users-timing-out" }));
  await eventually(async () => expect(await readContacts(id, groups)).toEqual(repeat(24, answered)));
  for (const chatId of groups)
    stage.simulator.script({ instanceId: id, chatId, answers: ["chat-timeout"], times: "forever" });
  await enqueue(id, groups);
  await eventually(async () => expect(await readHeld(id)).toMatchObject({ heldReason: "timing-out" }));
  const contacts = await readContacts(id, [...users, ...groups]);
  expect(contacts.filter(({ attempts }) => attempts > 1)).toEqual([]);
});

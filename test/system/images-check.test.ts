import { readdir, rm, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
let stage: Stage;
let env: Record<string, string>;

beforeAll(async () => {
  stage = await openStage({ pictures: true, pictureLatencyMs: 0 });
  env = {
    AVATARS_IMAGES: stage.path("images"),
    AVATARS_IMAGE_HOSTS: new URL(stage.simulator.url).host,
  };
  await stage.addInstance(instanceId);
  await stage.acceptChats(instanceId, makeChats(30));
  const worker = await stage.startWorker(env);
  await eventually(async () => {
    expect(await stage.countPending(instanceId)).toBe(0);
    expect(await countWanted()).toBe(0);
  });
  worker.child.kill("SIGTERM");
  await worker.ended;
});
afterAll(async () => stage.close());

async function countWanted(): Promise<number> {
  const { rows } = await stage.database.pool.query<{ wanted: number }>(
    "select count(*)::int as wanted from avatars.avatars where image_wanted_at is not null",
  );
  return rows[0]?.wanted ?? 0;
}

async function listFiles(): Promise<string[]> {
  const entries = await readdir(stage.path("images"), { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []));
}

test("a check tells what is missing and what is too much, and a repair mends it", async () => {
  const fine = await stage.run(["images", "check"], { env });
  expect(fine).toMatchObject({ code: 0 });
  expect(fine.stdout).toMatch(/^\d+ pictures and 0 smaller sizes, [\d.]+ MB[^]*nothing is wrong\n$/);

  const [one = ""] = await listFiles();
  await rm(one);
  const stray = "f".repeat(64);
  const orphan = join(stage.path("images"), "ff", "ff", stray);
  await stage.write("orphan", "bytes of no picture");
  const { mkdir } = await import("node:fs/promises");
  await mkdir(join(stage.path("images"), "ff", "ff"), { recursive: true, mode: 0o700 });
  await writeFile(orphan, "bytes of no picture", { mode: 0o600 });
  const young = await stage.run(["images", "check"], { env });
  expect(young.stdout).not.toContain("belong to no picture");
  const old = new Date(Date.now() - 3_600_000);
  await utimes(orphan, old, old);

  const wrong = await stage.run(["images", "check"], { env });
  expect(wrong.code).toBe(1);
  expect(wrong.stdout).toMatch(/^1 is missing$/m);
  expect(wrong.stdout).toMatch(/^1 file belongs to no picture$/m);
  expect(wrong.stdout).toMatch(/^to mend it: npx avatars images check --repair$/m);

  const mended = await stage.run(["images", "check", "--repair", "--json"], { env });
  expect(mended.code).toBe(0);
  expect(JSON.parse(mended.stdout)).toMatchObject({ missing: 1, asked: 1, orphans: 1, unshown: 0 });
  expect(await listFiles()).not.toContain(orphan);
  expect(await countWanted()).toBe(1);

  const worker = await stage.startWorker(env);
  await eventually(async () => expect(await countWanted()).toBe(0));
  worker.child.kill("SIGTERM");
  await worker.ended;
  expect(await listFiles()).toContain(one);
  expect(await stage.run(["images", "check"], { env })).toMatchObject({ code: 0 });
});

test("a check tells of no image that a worker is about to remove, and a repair leaves it to that", async () => {
  await stage.database.pool.query(
    "delete from avatars.contacts where id in (select contact_id from avatars.avatars where image_sha256 is not null limit 3)",
  );
  const before = await listFiles();
  const { code, stdout } = await stage.run(["images", "check", "--repair", "--json"], { env });
  expect({ code, check: JSON.parse(stdout) as unknown }).toMatchObject({
    code: 0,
    check: { missing: 0, unshown: 0, orphans: 0 },
  });
  expect(await listFiles()).toEqual(before);
});

test("a check says where images are off", async () => {
  const { code, stderr } = await stage.run(["images", "check"]);
  expect(code).toBe(2);
  expect(stderr).toContain("images are off: AVATARS_IMAGES says where they are kept");
});

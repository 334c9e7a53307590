import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseBlobKey } from "../../src/images/blobs/blob-key.ts";
import type { BlobStore } from "../../src/images/blobs/blob-store.ts";
import { openDirectoryBlobs } from "../../src/images/blobs/open-directory-blobs.ts";
import { createRandom } from "../../src/simulator/outcomes/random.ts";
import { hashOf, listAll } from "../support/blobs.ts";
import { eventually } from "../support/eventually.ts";
import { createFaces } from "../support/faces.ts";
import { readShown } from "../support/shown-images.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const chats = makeChats(400);
/** What a kill waits for: a picture on its way, bytes without a row, or a row that has just got its image. */
const moments = ["fetching", "blob", "row"] as const;
const kills = 10;

let stage: Stage;
let blobs: BlobStore;

beforeAll(async () => {
  stage = await openStage({ pictures: true, pictureLatencyMs: 150, base64Share: 0.1 });
  await stage.addInstance(instanceId);
  blobs = await openDirectoryBlobs(stage.path("images"));
});

afterAll(async () => {
  await blobs.close();
  await stage.close();
});

const readHashes = async () => {
  const { rows } = await stage.database.pool.query<{ hash: string }>(
    "select encode(sha256, 'hex') as hash from avatars.images",
  );
  return new Set(rows.map(({ hash }) => hash));
};

/** Blobs that no row tells of. */
async function findOrphans(): Promise<string[]> {
  // Rows after blobs: a blob whose row comes meanwhile is none.
  const entries = await listAll(blobs);
  const hashes = await readHashes();
  return entries.map(({ key }) => key).filter((key) => !hashes.has(parseBlobKey(key)?.hash ?? ""));
}

async function waitForMoment(moment: (typeof moments)[number]): Promise<void> {
  const { simulator } = stage;
  const before = await readHashes();
  await eventually(async () => {
    if (moment === "fetching") expect(simulator.stats().pictures.inFlight).toBeGreaterThan(3);
    else if (moment === "blob") expect(await findOrphans()).not.toEqual([]);
    else expect((await readHashes()).size).toBeGreaterThan(before.size);
  });
}

test(`killed ${kills} times while images are fetched, written and linked: each contact has its own, and nothing else is left`, async () => {
  const { simulator, database } = stage;
  const random = createRandom(Date.now() % 1_000_000);
  const faces = createFaces(simulator, instanceId, chats, random);
  const env = {
    AVATARS_IMAGES: stage.path("images"),
    AVATARS_IMAGE_HOSTS: new URL(simulator.url).host,
    AVATARS_REQUESTS_PER_SECOND: "120",
  };
  await stage.acceptChats(instanceId, chats);
  let orphansAtKills = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const worker = await stage.startWorker(env);
    const calls = simulator.stats().calls + 10 + random() * 60;
    await eventually(() => expect(simulator.stats().calls).toBeGreaterThan(calls));
    await waitForMoment(moments[kill % moments.length] ?? "fetching");
    worker.child.kill("SIGKILL");
    expect(await worker.ended).toMatchObject({ signal: "SIGKILL" });
    await eventually(() => expect(simulator.stats().pictures.inFlight).toBe(0));
    orphansAtKills += (await findOrphans()).length;
    for (let change = 0; change < 30; change += 1) faces.change();
    await stage.acceptChats(
      instanceId,
      chats.filter(() => random() < 0.3),
    );
  }
  // The kills have left what is to be mended.
  expect(orphansAtKills).toBeGreaterThan(0);

  await stage.acceptChats(instanceId, chats);
  const survivor = await stage.startWorker(env);
  // Claims of the dead end after half a minute, and those of their images after a minute.
  await eventually(async () => {
    expect(await stage.countPending(instanceId)).toBe(0);
    const { rows } = await database.pool.query(
      "select from avatars.avatars where image_wanted_at is not null limit 1",
    );
    expect(rows).toEqual([]);
  }, 180_000);
  survivor.child.kill("SIGTERM");
  expect(await survivor.ended).toMatchObject({ code: 0 });

  const shown = new Map((await readShown(database.pool, blobs)).map((contact) => [contact.chatId, contact]));
  const present = chats.filter((chatId) => simulator.truth(instanceId, chatId).kind === "present");
  expect(present.length).toBeGreaterThan(150);
  for (const chatId of present) {
    const { bytes, version, imageVersion } = shown.get(chatId) ?? {};
    expect({ hash: bytes && hashOf(bytes), imageVersion }, chatId).toEqual({
      hash: simulator.picture(instanceId, chatId)?.sha256,
      imageVersion: version,
    });
  }
  // Nor is any other contact shown bytes that are not its own. One that has hidden its picture since may show none: the
  // answer that had it, as base64, was lost with its process, and no URL was left to take it from.
  for (const { chatId, status, imageVersion, bytes } of shown.values())
    if (bytes === undefined) expect({ chatId, status }).toMatchObject({ status: "hidden" });
    else expect(faces.isOf(chatId, imageVersion ?? "", bytes), chatId).toBe(true);

  // What nobody refers to is left alone until it is old enough that no process is about to refer to it.
  for (const { key } of await listAll(blobs)) {
    const anHourAgo = new Date(Date.now() - 3_600_000);
    await utimes(join(stage.path("images"), key), anHourAgo, anHourAgo);
  }
  const repaired = await stage.run(["images", "check", "--repair"], { env });
  expect(repaired.code, repaired.stderr).toBe(0);
  expect(await findOrphans()).toEqual([]);
  const kept = new Set((await listAll(blobs)).map(({ key }) => parseBlobKey(key)?.hash));
  expect([...shown.values()].every(({ bytes }) => bytes === undefined || kept.has(hashOf(bytes)))).toBe(true);
  expect(await stage.run(["images", "check"], { env })).toMatchObject({ code: 0 });
}, 480_000);

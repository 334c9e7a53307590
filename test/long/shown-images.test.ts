import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BlobStore } from "../../src/images/blobs/blob-store.ts";
import { openDirectoryBlobs } from "../../src/images/blobs/open-directory-blobs.ts";
import { createRandom } from "../../src/simulator/outcomes/random.ts";
import { hashOf } from "../support/blobs.ts";
import { eventually } from "../support/eventually.ts";
import { createFaces } from "../support/faces.ts";
import { readShown, type ShownContact } from "../support/shown-images.ts";
import { makeChats, openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
const chats = makeChats(400);
/** In place of days: all else of a month goes by as much faster. */
const urlLifetimeMs = 4_000;
const rounds = 6;
/** So slow that an answer is some seconds old in the mean. */
const requestsPerSecond = 40;
/** A picture that is told of is taken by then, even where the first try fails. */
const patienceMs = 45_000;

let stage: Stage;
let blobs: BlobStore;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "contact-avatars-images-"));
  stage = await openStage({
    pictures: true,
    urlLifetimeMs,
    base64Share: 0.1,
    pictureFaults: { "server-error-500": 0.02 },
  });
  await stage.addInstance(instanceId);
  blobs = await openDirectoryBlobs(folder);
});

afterAll(async () => {
  await blobs.close();
  await stage.close();
  await rm(folder, { recursive: true, force: true });
});

test("a month in a minute: no picture is dead or wrong at a random moment, of which each URL is", async () => {
  const { simulator, database } = stage;
  const random = createRandom(Date.now() % 1_000_000);
  const faces = createFaces(simulator, instanceId, chats, random);
  await stage.acceptChats(instanceId, chats);
  await stage.startWorker({
    AVATARS_IMAGES: folder,
    AVATARS_IMAGE_HOSTS: new URL(simulator.url).host,
    AVATARS_REQUESTS_PER_SECOND: String(requestsPerSecond),
  });
  const isSettled = async () => {
    expect(await stage.countPending(instanceId)).toBe(0);
    expect((await readShown(database.pool, blobs)).filter(({ bytes }) => bytes === undefined)).toEqual([]);
  };
  await eventually(isSettled);

  /** Contacts that have shown an image: from then on there is one as long as the provider tells of a picture. */
  const everShown = new Set<number>();
  const dead: ShownContact[] = [];
  const wrong: ShownContact[] = [];
  const seen = { looks: 0, urls: 0, expiredUrls: 0 };
  const look = async () => {
    for (const contact of await readShown(database.pool, blobs)) {
      const { contactId, chatId, bytes, imageVersion, url } = contact;
      seen.looks += 1;
      if (url !== undefined) seen.urls += 1;
      if (contact.urlHasExpired) seen.expiredUrls += 1;
      // A picture that comes back after there was none is taken first.
      const isDead = bytes === undefined && (contact.wantedForMs ?? Infinity) > patienceMs;
      if (isDead && everShown.has(contactId)) dead.push(contact);
      if (bytes !== undefined) everShown.add(contactId);
      // Bytes and version are those of one answer, whether it is the last one or the one before.
      if (bytes !== undefined && !faces.isOf(chatId, imageVersion ?? "", bytes)) wrong.push(contact);
    }
  };
  for (let round = 0; round < rounds; round += 1) {
    for (let change = 0; change < 20; change += 1) faces.change();
    await stage.acceptChats(
      instanceId,
      chats.filter(() => random() < 0.25),
    );
    for (let looks = 0; looks < 3; looks += 1) {
      const calls = simulator.stats().calls + random() * 60;
      await eventually(async () => {
        if ((await stage.countPending(instanceId)) > 0)
          expect(simulator.stats().calls).toBeGreaterThan(calls);
      });
      await look();
    }
  }
  expect({ dead, wrong }).toEqual({ dead: [], wrong: [] });
  expect(seen.looks).toBeGreaterThan(rounds * 3 * 200);
  // What a list shows by the provider's URLs, of the same contacts at the same moments.
  expect(seen.expiredUrls / seen.urls).toBeGreaterThan(0.3);

  // Once each was asked after the last change, what is shown is what is true.
  await stage.acceptChats(instanceId, chats);
  await eventually(async () => {
    await isSettled();
    const shown = await readShown(database.pool, blobs);
    // One that has hidden its picture before it was taken keeps the one before: its URL has expired, and there is no new one.
    const late = shown.filter(
      ({ status, version, imageVersion }) => status !== "hidden" && version !== imageVersion,
    );
    expect(late.map(({ chatId }) => chatId)).toEqual([]);
  });
  const shown = new Map((await readShown(database.pool, blobs)).map((contact) => [contact.chatId, contact]));
  const present = chats.filter((chatId) => simulator.truth(instanceId, chatId).kind === "present");
  expect(present.length).toBeGreaterThan(100);
  for (const chatId of present) {
    const { bytes } = shown.get(chatId) ?? {};
    expect(bytes === undefined ? undefined : hashOf(bytes), chatId).toBe(
      simulator.picture(instanceId, chatId)?.sha256,
    );
  }
}, 360_000);

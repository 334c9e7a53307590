import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { listKeysOfHash } from "../../src/images/blobs/blob-key.ts";
import { maxBlobBytes } from "../../src/images/blobs/blob-bytes.ts";
import type { BlobStore } from "../../src/images/blobs/blob-store.ts";
import { openBlobs } from "../../src/images/blobs/open-blobs.ts";
import type { ImagesSetting } from "../../src/images/blobs/parse-images-setting.ts";
import { hashOf, listAll, makeBlob } from "../support/blobs.ts";
import { startS3Server, type S3Server } from "../support/s3-server.ts";

let server: S3Server;

beforeAll(async () => {
  server = await startS3Server();
});

afterAll(() => server.stop());

let count = 0;

/** An empty place of each kind. */
const places: Record<string, () => Promise<ImagesSetting>> = {
  "a folder": async () => ({
    kind: "directory",
    path: join(await mkdtemp(join(tmpdir(), "blobs-")), "images"),
  }),
  "an S3 bucket": async () => ({ ...server.setting, prefix: `crm/images-${(count += 1)}` }),
};

/** Runs work on many, so much at a time. */
async function inChunks<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>) {
  for (let from = 0; from < items.length; from += 50)
    await Promise.all(items.slice(from, from + 50).map(work));
}

/** Puts images of 1 MiB for ever, in a process of its own, and says so of each. */
const putsForEver = `
const [entry, setting] = process.argv.slice(1);
const { openBlobs } = await import(entry);
const { createHash, randomBytes } = await import("node:crypto");
const store = await openBlobs(JSON.parse(setting));
for (;;) {
  await Promise.all(Array.from({ length: 4 }, async () => {
    const bytes = randomBytes(1024 * 1024);
    const hash = createHash("sha256").update(bytes).digest("hex");
    await store.put(\`\${hash.slice(0, 2)}/\${hash.slice(2, 4)}/\${hash}\`, bytes, "image/jpeg");
    process.stdout.write(\`\${hash}\\n\`);
  }));
}`;

describe.each(Object.entries(places))("images in %s", (_, findPlace) => {
  let setting: ImagesSetting;
  let store: BlobStore;

  async function open(): Promise<BlobStore> {
    const opened = await openBlobs(setting);
    if (opened === undefined) throw new Error("no store");
    return opened;
  }

  beforeEach(async () => {
    setting = await findPlace();
    store = await open();
  });

  afterEach(async () => {
    await store.close();
    if (setting.kind === "directory") await rm(join(setting.path, ".."), { recursive: true });
  });

  test("are read back byte by byte, and are not there before", async () => {
    const { key, bytes, sizeKey } = makeBlob();
    expect([await store.get(key), await store.has(key)]).toEqual([undefined, undefined]);

    await store.put(key, bytes, "image/jpeg");

    expect(await store.get(key)).toEqual({ bytes, size: 1000 });
    expect(await store.has(key)).toEqual({ size: 1000 });
    expect(await store.get(sizeKey(64))).toBeUndefined();
    expect(await listAll(store)).toEqual([{ key, size: 1000, modifiedAt: expect.any(Date) }]);
  });

  test("are seen by another process that has the same place open", async () => {
    const { key, bytes } = makeBlob();
    await store.put(key, bytes, "image/png");
    const other = await open();
    expect((await other.get(key))?.bytes).toEqual(bytes);
    await other.close();
  });

  test("may be 5 MiB, and none, but not beyond all bounds", async () => {
    for (const blob of [makeBlob(5 * 1024 * 1024), makeBlob(0)]) {
      await store.put(blob.key, blob.bytes, "image/webp");
      expect((await store.get(blob.key))?.bytes.equals(blob.bytes)).toBe(true);
    }
    const { key, bytes } = makeBlob(maxBlobBytes + 1);
    await expect(store.put(key, bytes, "image/webp")).rejects.toMatchObject({ code: "images-too-large" });
    expect(await store.has(key)).toBeUndefined();
  });

  test("are put again as if they were not there, and are then as new", async () => {
    const { key, bytes } = makeBlob();
    await store.put(key, bytes, "image/jpeg");
    const [before] = await listAll(store);
    await store.put(key, bytes, "image/jpeg");
    const [after, ...others] = await listAll(store);
    expect(others).toEqual([]);
    expect(after?.modifiedAt.getTime()).toBeGreaterThanOrEqual(before?.modifiedAt.getTime() ?? Infinity);
    expect((await store.get(key))?.bytes).toEqual(bytes);
  });

  test("are there once when many put the same one", async () => {
    const { key, bytes } = makeBlob(256 * 1024);
    await Promise.all(Array.from({ length: 20 }, () => store.put(key, bytes, "image/jpeg")));
    expect(await listAll(store)).toMatchObject([{ key, size: bytes.length }]);
    expect((await store.get(key))?.bytes.equals(bytes)).toBe(true);
  });

  test("are removed with their sizes, and once more without complaint", async () => {
    const gone = makeBlob();
    const kept = makeBlob();
    for (const blob of [gone, kept]) {
      await store.put(blob.key, blob.bytes, "image/jpeg");
      await store.put(blob.sizeKey(64), Buffer.from("small"), "image/jpeg");
    }
    await store.remove(listKeysOfHash(gone.hash));
    await store.remove(listKeysOfHash(gone.hash));
    await store.remove([]);
    expect((await listAll(store)).map(({ key }) => key)).toEqual([kept.key, kept.sizeKey(64)]);
  });

  test("are listed all, also where there are more than a page has", async () => {
    const blobs = Array.from({ length: 1050 }, () => makeBlob(10));
    await inChunks(blobs, (blob) => store.put(blob.key, blob.bytes, "image/jpeg"));
    const listed = await listAll(store);
    expect(listed.map(({ key }) => key)).toEqual(blobs.map(({ key }) => key).toSorted());
    await store.remove(blobs.map(({ key }) => key));
    expect(await listAll(store)).toEqual([]);
  });

  test("leave nothing of a check that they can be written", async () => {
    expect(await store.check()).toEqual([]);
    expect(await listAll(store)).toEqual([]);
  });

  test("are whole, or not there, when the process that puts them is killed", async () => {
    const entry = pathToFileURL(join(import.meta.dirname, "../../dist/images/blobs/open-blobs.js")).href;
    const child = spawn(
      process.execPath,
      ["--input-type=module", "-e", putsForEver, entry, JSON.stringify(setting)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const told: string[] = [];
    const lines = createInterface(child.stdout);
    await new Promise<void>((resolve) => {
      lines.on("line", (line) => {
        told.push(line);
        if (told.length === 10) resolve();
      });
    });
    child.kill("SIGKILL");
    await once(child, "close");

    const listed = await listAll(store);
    for (const { key, size } of listed) {
      const read = await store.get(key);
      expect(read?.size).toBe(size);
      expect(key.endsWith(hashOf(read?.bytes ?? Buffer.alloc(0)))).toBe(true);
    }
    const there = new Set(listed.map(({ key }) => key.slice(6)));
    expect(told.filter((hash) => !there.has(hash))).toEqual([]);
  });

  test("are told of in one line without secrets", () => {
    expect(store.describe()).toMatch(/^images are kept in [^\n]+$/);
    expect(store.describe()).not.toContain("S3RVER");
  });

  test("are not to be had when the store is closed, which may be said twice", async () => {
    const { key, bytes } = makeBlob();
    await store.close();
    await store.close();
    for (const attempt of [
      () => store.get(key),
      () => store.put(key, bytes, "image/jpeg"),
      () => listAll(store),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "images-closed" });
    }
  });
});

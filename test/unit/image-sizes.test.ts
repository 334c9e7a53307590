import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listKeysOfHash } from "../../src/images/blobs/blob-key.ts";
import type { BlobStore } from "../../src/images/blobs/blob-store.ts";
import { openDirectoryBlobs } from "../../src/images/blobs/open-directory-blobs.ts";
import { createSizes, type Sizes, type SizesPorts } from "../../src/images/sizes/create-sizes.ts";
import { openResizer, type Resizer } from "../../src/images/sizes/open-resizer.ts";
import { listAll, makeBlob, type TestBlob } from "../support/blobs.ts";
import { createGate } from "../support/gate.ts";

let folder: string;
let blobs: BlobStore;
/** How often the real one was asked. */
let resizes: number;
let resizer: Resizer;
let beforeResize: () => Promise<unknown>;
let notKept: unknown[];
let clock: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "image-sizes-"));
  blobs = await openDirectoryBlobs(folder);
  resizes = 0;
  notKept = [];
  clock = 0;
  beforeResize = async () => undefined;
  const opened = await openResizer();
  if (opened === undefined) throw new Error("sharp is not installed");
  resizer = {
    async resize(bytes, size) {
      resizes += 1;
      await beforeResize();
      return opened.resize(bytes, size);
    },
  };
});

afterEach(async () => {
  await blobs.close();
  await rm(folder, { recursive: true });
});

function create(ports: Partial<SizesPorts> = {}): Sizes {
  return createSizes({
    blobs,
    resizer,
    onNotKept: (error) => notKept.push(error),
    now: () => clock,
    ...ports,
  });
}

/** An image that is kept, of a colour of its own. */
async function keepFace(colour = 0): Promise<TestBlob & { readonly type: "image/jpeg" }> {
  const background = { r: colour, g: 100, b: 100 };
  const bytes = await sharp({ create: { width: 300, height: 300, channels: 3, background } })
    .jpeg()
    .toBuffer();
  const blob = makeBlob(bytes);
  await blobs.put(blob.key, bytes, "image/jpeg");
  return { ...blob, type: "image/jpeg" };
}

describe("a size of an image", () => {
  test("is made once, kept beside the original, and served from there", async () => {
    const face = await keepFace();
    const made = await create().get(face, 64);
    if (made.kind !== "sized") throw new Error(made.kind);
    expect(await sharp(made.bytes).metadata()).toMatchObject({ format: "jpeg", width: 64, height: 64 });
    expect((await blobs.get(face.sizeKey(64)))?.bytes).toEqual(made.bytes);

    expect(await create().get(face, 64)).toEqual(made);
    expect(await create({ resizer: undefined }).get(face, 64)).toEqual(made);
    expect(resizes).toBe(1);
  });

  test("is made once for all who ask at the same time", async () => {
    const face = await keepFace();
    const sizes = create();
    const made = await Promise.all(Array.from({ length: 20 }, () => sizes.get(face, 128)));
    expect(new Set(made.map(({ kind }) => kind))).toEqual(new Set(["sized"]));
    expect(resizes).toBe(1);
    await sizes.get(face, 64);
    expect(resizes).toBe(2);
  });

  test("is the original where there is no sharp", async () => {
    const face = await keepFace();
    expect(await create({ resizer: undefined }).get(face, 64)).toEqual({
      kind: "original",
      because: "no-resizer",
    });
  });

  test("is missing with its original", async () => {
    expect(await create().get({ hash: makeBlob().hash, type: "image/png" }, 64)).toEqual({ kind: "missing" });
    expect(resizes).toBe(0);
  });

  test("is the original where it cannot be read, which is tried again only after ten minutes", async () => {
    const broken = makeBlob(Buffer.from("no image"));
    await blobs.put(broken.key, broken.bytes, "image/jpeg");
    const sizes = create();
    const image = { hash: broken.hash, type: "image/jpeg" } as const;
    for (const size of [64, 64, 128] as const)
      expect(await sizes.get(image, size)).toEqual({ kind: "original", because: "unreadable" });
    expect(resizes).toBe(1);
    clock += 600_001;
    await sizes.get(image, 64);
    expect(resizes).toBe(2);
    expect((await listAll(blobs)).map(({ key }) => key)).toEqual([broken.key]);
  });

  test("is the original where too many wait, and is made when there is room again", async () => {
    const faces = await Promise.all([10, 20, 30, 40].map(keepFace));
    const gate = createGate();
    beforeResize = () => gate.opened;
    const sizes = create({ atOnce: 1, mostWaiting: 2, waitMs: 60_000 });
    const asked = faces.map((face) => sizes.get(face, 64));
    // One has its turn and two wait, whichever they are: the fourth comes back at once.
    expect(await Promise.race(asked)).toEqual({ kind: "original", because: "busy" });
    gate.open();
    const kinds = (await Promise.all(asked)).map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(["original", "sized", "sized", "sized"]);
    for (const face of faces) expect(await sizes.get(face, 64)).toMatchObject({ kind: "sized" });
  });

  test("is served also when it cannot be kept", async () => {
    const face = await keepFace();
    const full = new Error("no space left");
    const store: BlobStore = { ...blobs, put: () => Promise.reject(full) };
    expect(await create({ blobs: store }).get(face, 64)).toMatchObject({ kind: "sized" });
    expect(notKept).toEqual([full]);
  });

  test("is not left behind by an image that is erased while it is made", async () => {
    const face = await keepFace();
    beforeResize = () => blobs.remove(listKeysOfHash(face.hash));
    expect(await create().get(face, 64)).toEqual({ kind: "missing" });
    expect(await listAll(blobs)).toEqual([]);
  });
});

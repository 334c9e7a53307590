import { execFileSync, spawnSync } from "node:child_process";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { BlobStore } from "../../src/images/blobs/blob-store.ts";
import { toDirectoryError } from "../../src/images/blobs/directory-error.ts";
import { openDirectoryBlobs } from "../../src/images/blobs/open-directory-blobs.ts";
import { listAll, makeBlob } from "../support/blobs.ts";

let base: string;
let folder: string;
let store: BlobStore;

beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), "directory-blobs-"));
  folder = join(base, "kept", "images");
  store = await openDirectoryBlobs(folder);
});

afterEach(async () => {
  await store.close();
  await rm(base, { recursive: true });
});

async function modeOf(path: string): Promise<number> {
  return (await lstat(path)).mode & 0o777;
}

describe("the folder of images", () => {
  test("lets none but its owner read anything", async () => {
    const { key, bytes } = makeBlob();
    await store.put(key, bytes, "image/jpeg");
    const file = join(folder, key);
    for (const each of [folder, join(folder, "drafts"), dirname(file), dirname(dirname(file))])
      expect(await modeOf(each)).toBe(0o700);
    expect(await modeOf(file)).toBe(0o600);
  });

  test("has each image below two folders of its hash, and no draft", async () => {
    const { key, hash, bytes, sizeKey } = makeBlob();
    await store.put(key, bytes, "image/jpeg");
    await store.put(sizeKey(128), Buffer.from("small"), "image/jpeg");
    const [outer, inner] = [hash.slice(0, 2), hash.slice(2, 4)];
    expect((await readdir(join(folder, outer, inner))).toSorted()).toEqual([hash, `${hash}.128`]);
    expect(await readdir(join(folder, "drafts"))).toEqual([]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ["a listing", () => listAll(store)],
    ["a check", () => store.check()],
  ])("loses old drafts of a crash at %s, and no young ones", async (_, look) => {
    for (const name of ["of-a-crash", "of-a-write"]) await writeFile(join(folder, "drafts", name), "half");
    await utimes(join(folder, "drafts", "of-a-crash"), new Date(), new Date(Date.now() - 2 * 3_600_000));
    await look();
    expect(await readdir(join(folder, "drafts"))).toEqual(["of-a-write"]);
    expect(await listAll(store)).toEqual([]);
  });

  test("lists nothing that another program has put there", async () => {
    const { key, bytes, hash } = makeBlob();
    await store.put(key, bytes, "image/jpeg");
    const inner = dirname(join(folder, key));
    await mkdir(join(inner, "f".repeat(64)));
    for (const name of [`${hash}.65`, `${hash}.jpg`, hash.toUpperCase(), "0".repeat(64), ".DS_Store"])
      await writeFile(join(inner, name), "of another program");
    await writeFile(join(folder, "notes.txt"), "of another program");
    expect((await listAll(store)).map((entry) => entry.key)).toEqual([key]);
  });

  test.each([
    ["outer", 2],
    ["inner", 5],
  ])("does not follow a link in place of an %s folder", async (_, length) => {
    const { key, bytes, hash } = makeBlob();
    const outside = join(base, "outside");
    await mkdir(join(outside, hash.slice(2, 4)), { recursive: true });
    await writeFile(join(outside, hash), "outside");
    await writeFile(join(outside, hash.slice(2, 4), hash), "outside");
    const link = join(folder, key.slice(0, length));
    await mkdir(dirname(link), { recursive: true });
    await symlink(outside, link);

    for (const attempt of [
      () => store.put(key, bytes, "image/jpeg"),
      () => store.get(key),
      () => store.has(key),
      () => store.remove([key]),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ code: "images-unsafe", retryable: false });
    }
    expect(await listAll(store)).toEqual([]);
    expect(await readFile(join(outside, hash), "utf8")).toBe("outside");
    expect(await readdir(join(folder, "drafts"))).toEqual([]);
  });

  test("does not follow a link in place of an image, and puts the image there instead", async () => {
    const { key, bytes } = makeBlob();
    const outside = join(base, "outside");
    await writeFile(outside, "outside");
    await mkdir(dirname(join(folder, key)), { recursive: true });
    await symlink(outside, join(folder, key));

    await expect(store.get(key)).rejects.toMatchObject({ code: "images-unsafe" });
    await expect(store.has(key)).rejects.toMatchObject({ code: "images-unsafe" });
    expect(await listAll(store)).toEqual([]);
    await store.put(key, bytes, "image/jpeg");
    expect((await store.get(key))?.bytes).toEqual(bytes);
    expect(await readFile(outside, "utf8")).toBe("outside");
  });

  test("does not wait for a pipe in place of an image", async () => {
    const { key } = makeBlob();
    await mkdir(dirname(join(folder, key)), { recursive: true });
    execFileSync("mkfifo", [join(folder, key)]);
    await expect(store.get(key)).rejects.toMatchObject({ code: "images-unsafe" });
  });

  test.runIf(process.platform === "linux")("stays the same one when its path leads elsewhere", async () => {
    const { key, bytes } = makeBlob();
    await rename(folder, join(base, "moved"));
    await mkdir(join(base, "outside"));
    await symlink(join(base, "outside"), folder);
    await store.put(key, bytes, "image/jpeg");
    expect((await store.get(key))?.bytes).toEqual(bytes);
    expect(await readdir(join(base, "outside"))).toEqual([]);
    expect(await readFile(join(base, "moved", key))).toEqual(bytes);
  });

  test("fails for the moment when it is gone", async () => {
    await rm(folder, { recursive: true });
    const { key, bytes } = makeBlob();
    await expect(store.put(key, bytes, "image/jpeg")).rejects.toMatchObject({
      code: "images-failed",
      retryable: true,
    });
    await expect(store.check()).rejects.toMatchObject({ code: "images-failed" });
  });

  test("cannot be a file, nor below one", async () => {
    const file = join(base, "file");
    await writeFile(file, "");
    for (const path of [file, join(file, "images")]) {
      await expect(openDirectoryBlobs(path)).rejects.toMatchObject({
        code: "images-unsafe",
        message: `${path} is no folder: set AVATARS_IMAGES to another place`,
      });
    }
  });

  test("is told of when other users may write in it", async () => {
    const wide = join(base, "wide");
    await mkdir(wide);
    await chmod(wide, 0o777);
    const opened = await openDirectoryBlobs(wide);
    expect(await opened.check()).toEqual([expect.stringContaining("chmod 700")]);
    await opened.close();
  });

  test.runIf(process.platform === "linux")(
    "keeps nothing of an image that the disk has no place for",
    async () => {
      const files = join(import.meta.dirname, "../../dist/images/blobs/open-directory-blobs.js");
      // No file may have more than 100 KiB in this shell, which a write finds out half-way.
      const put = `
      const { openDirectoryBlobs } = await import(${JSON.stringify(files)});
      const store = await openDirectoryBlobs(${JSON.stringify(folder)});
      const error = await store.put("ab/cd/abcd${"0".repeat(60)}", Buffer.alloc(1e6), "image/jpeg").catch((error) => error);
      process.stdout.write(JSON.stringify([error.code, error.retryable, error.cause?.code]));`;
      const shell = `ulimit -f 100; exec "$0" --input-type=module -e "$1"`;
      const run = spawnSync("bash", ["-c", shell, process.execPath, put], { encoding: "utf8" });
      expect(JSON.parse(run.stdout)).toEqual(["images-failed", true, "EFBIG"]);
      expect(await readdir(join(folder, "drafts"))).toEqual([]);
      expect(await listAll(store)).toEqual([]);
    },
  );
});

describe("an error of the file system", () => {
  test.each([
    ["ENOSPC", "images-no-space", true],
    ["EDQUOT", "images-no-space", true],
    ["EACCES", "images-denied", false],
    ["EROFS", "images-denied", false],
    ["ELOOP", "images-unsafe", false],
    ["ENOTDIR", "images-unsafe", false],
    ["EIO", "images-failed", true],
    ["EMFILE", "images-failed", true],
  ])("%s is %s", (system, code, retryable) => {
    const cause = Object.assign(new Error("text of the system"), { code: system });
    const error = toDirectoryError(cause, "/var/lib/images");
    expect(error).toMatchObject({ code, retryable, cause });
    expect(error.message).toContain("/var/lib/images");
    expect(error.message).not.toContain("text of the system");
  });
});

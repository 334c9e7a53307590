import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStage, type Stage } from "../support/stage.ts";

const instanceId = "1101000001";
let stage: Stage;

beforeAll(async () => {
  stage = await openStage({ pictures: true, pictureLatencyMs: 0 });
  await stage.addInstance(instanceId);
});
afterAll(async () => stage.close());

/** By their last six digits these have a picture; of the two last ones it cannot be taken. */
const contacts = [
  ["79001982000@c.us", "Crm/1"],
  ["79002982000@c.us", "CRM?1"],
  ["79003982000@c.us", `${"界".repeat(60)}1`],
  ["79004982000@c.us", `${"界".repeat(60)}2`],
  ["79005982000@c.us", "界".repeat(100)],
  ["79006982000@c.us", `${"界".repeat(99)}世`],
  ["79007982003@c.us", "svg"],
  ["79008984040@c.us", "gone"],
] as const;

test("each contact has a file of its own, and the summary says which pictures are missing and why", async () => {
  await stage.write(
    "contacts.csv",
    `chat_id,external_ref\n${contacts.map((cells) => cells.join(",")).join("\n")}\n`,
  );
  const env = { AVATARS_IMAGES: stage.path("kept"), AVATARS_IMAGE_HOSTS: new URL(stage.simulator.url).host };
  const { code, stdout, stderr } = await stage.run(["enrich", "contacts.csv", "--images", "faces"], { env });
  expect({ code, stderr }).toMatchObject({ code: 0 });
  expect(stdout).toMatch(/^pictures: 6 taken; 2 missing \(1 gone from their host, 1 svg\)$/m);
  const files = await readdir(stage.path("faces"));
  expect(new Set(files.map((name) => name.toLowerCase())).size).toBe(6);
  for (const name of files) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
  const again = await stage.run(["export", "--images", "faces"], { env });
  expect(again.stderr).toContain("0 pictures written to faces; 6 were there already");
});

const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

test("the pictures go into a phone book, which is read again", async () => {
  const env = { AVATARS_IMAGES: stage.path("kept") };
  const { code, stderr } = await stage.run(["export", "--format", "vcf", "--out", "book.vcf"], { env });
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: "6 cards with pictures written to book.vcf; left out: 2 contacts without a picture\n",
  });
  const book = await readFile(stage.path("book.vcf"), "utf8");
  const lines = book.replaceAll("\r\n ", "").split("\r\n");
  const photos = lines
    .filter((line) => line.startsWith("PHOTO;"))
    .map((line) => line.slice(line.indexOf(":")));
  const faces = await Promise.all(
    (await readdir(stage.path("faces"))).map((name) => readFile(stage.path(`faces/${name}`))),
  );
  expect(photos.map((photo) => hash(Buffer.from(photo, "base64"))).toSorted()).toEqual(
    faces.map(hash).toSorted(),
  );
  const { stdout } = await stage.run(["import", "book.vcf", "--json"], { env });
  expect(JSON.parse(stdout)).toMatchObject({ accepted: 6, fresh: 6, rejected: 0 });
  const off = await stage.run(["export", "--out", "other.vcf"]);
  expect(off).toMatchObject({ code: 2, stderr: expect.stringContaining("images are off") });
});

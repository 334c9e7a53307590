import { spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const sound = `sha512-${"a".repeat(86)}==`;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "check-lockfile-"));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function check(...files: string[]) {
  return spawnSync(process.execPath, ["scripts/check-lockfile.js", ...files], {
    cwd: root,
    encoding: "utf8",
  });
}

async function checkEntry(name: string, entry: object) {
  const file = join(folder, "package-lock.json");
  const packages = { "": { name: "own" }, "node_modules/good": { integrity: sound }, [name]: entry };
  await writeFile(file, JSON.stringify({ lockfileVersion: 3, packages }));
  return check(file);
}

describe("the check of the lockfile", () => {
  test("passes the project's own", () => {
    expect(check()).toMatchObject({ status: 0, stderr: "" });
  });

  test.each([
    ["no checksum", {}, "has no integrity"],
    ["no checksum though it is optional", { optional: true, dev: true }, "has no integrity"],
    [
      "a checksum that can be forged",
      { integrity: "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" },
      "has a weak integrity",
    ],
    ["half a checksum", { integrity: sound.slice(0, 40) }, "has a weak integrity"],
    [
      "a registry's host",
      { integrity: sound, resolved: "https://npm.example/bad/-/bad-1.0.0.tgz" },
      "is resolved to https://npm.example/",
    ],
    ["a link out of the project", { link: true, resolved: "../elsewhere" }, "is resolved to ../elsewhere"],
  ])("refuses an entry with %s, by its name", async (_what, entry, message) => {
    const { status, stderr } = await checkEntry("node_modules/bad", entry);
    expect(status).toBe(1);
    expect(stderr).toContain(`node_modules/bad ${message}`);
    expect(stderr).not.toContain("node_modules/good");
  });

  test("excuses an absent package only while it is absent, optional and for development", async () => {
    const excused = "node_modules/lefthook-android-arm64";
    expect(await checkEntry(excused, { optional: true, dev: true })).toMatchObject({ status: 0 });
    expect(await checkEntry(excused, { optional: true })).toMatchObject({ status: 1 });
    expect(await checkEntry(excused, { optional: true, dev: true, integrity: sound })).toMatchObject({
      status: 1,
    });
  });

  test("runs with the static checks", async () => {
    const manifest = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as {
      scripts: Record<string, string>;
    };
    expect(manifest.scripts["check:static"]).toContain("npm run check:lockfile");
  });
});

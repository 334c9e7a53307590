import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The temporary folder of one run of the tests. */
export interface RunFolder {
  readonly path: string;
  close(): void;
}

/**
 * Makes a folder for all that this run writes, and the temporary folder of this process and those that it starts. What
 * works in there when the run ends, killed or not, is stopped by a watchdog, which then removes the folder.
 */
export function openRunFolder(): RunFolder {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "contact-avatars-test-")));
  // The account of Postgres, when we are root, must get in.
  chmodSync(path, 0o755);
  const script = fileURLToPath(new URL("watchdog.js", import.meta.url));
  const { PATH = "" } = process.env;
  // Out of reach of the terminal's Ctrl-C. Without our temporary folder: it would stop itself.
  const watchdog = spawn(process.execPath, [script, path], {
    cwd: "/",
    detached: true,
    env: { PATH },
    stdio: ["pipe", "ignore", "ignore"],
  });
  watchdog.unref();
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = path;
  return {
    path,
    close() {
      if (before === undefined) delete process.env["TMPDIR"];
      else process.env["TMPDIR"] = before;
      rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

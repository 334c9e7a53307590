import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../lib/errors.ts";
import type { Account } from "./choose-account.ts";
import { holdFolder } from "./plain-files.ts";

/** Included at the end of the cluster's postgresql.conf, and written anew at every start. */
export const SETTINGS_FILE = "avatars.conf";

/** On top of Postgres's defaults, which keep everything that was committed (fsync, full_page_writes). */
const DEFAULTS: Readonly<Record<string, string>> = {
  listen_addresses: "127.0.0.1",
  // Their paths may be too long for the kernel, and no client needs them.
  unix_socket_directories: "",
  cluster_name: "contact-avatars",
  max_connections: "100",
  shared_buffers: "128MB",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
  // Failing statements and their values are personal data; the client has them already.
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
};

/** Writes the settings of the next start; replaced as a whole, and never through a link. */
export async function writeSettings(
  clusterDir: string,
  settings: Readonly<Record<string, string>>,
  account: Account | undefined,
): Promise<void> {
  // The folder is that account's: its name may lead elsewhere meanwhile.
  const folder = account && holdFolder(clusterDir);
  const file = path.join(folder?.path ?? clusterDir, SETTINGS_FILE);
  const draft = `${file}.${randomUUID()}`;
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(formatSettings({ ...DEFAULTS, ...settings }));
      if (account) await handle.chown(account.uid, account.gid);
    } finally {
      await handle.close();
    }
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
    folder?.release();
  }
}

/** @throws UserError for a name that is no setting's. */
function formatSettings(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => {
      if (!/^[a-z_][\w.]*$/i.test(name)) {
        throw new UserError("invalid-setting", `"${name}" is no name of a Postgres setting`);
      }
      const quoted = value.replaceAll("\\", "\\\\").replaceAll("'", "''").replaceAll("\n", "\\n");
      return `${name} = '${quoted}'\n`;
    })
    .join("");
}

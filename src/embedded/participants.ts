import { randomUUID } from "node:crypto";
import { readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { isMarkRunning, ownProcessMark } from "./process-mark.ts";

/** A user of the server: a file named after its process, so that its death can be told. */
export interface Participant {
  remove(): Promise<void>;
}

/** Registers this process as one more user of the server, in a folder that is there. Under the lock. */
export async function addParticipant(directory: string): Promise<Participant> {
  const file = path.join(directory, `${await ownProcessMark()}.${randomUUID()}`);
  await writeFile(file, "", { flag: "wx" });
  return { remove: () => rm(file, { force: true }) };
}

/** Whether any process still uses the server; forgets those that have ended. Under the lock. */
export async function hasParticipants(directory: string): Promise<boolean> {
  let present = false;
  for (const name of await readdir(directory)) {
    if (await isMarkRunning(name.split(".")[0] ?? "")) present = true;
    else await rm(path.join(directory, name), { force: true });
  }
  return present;
}

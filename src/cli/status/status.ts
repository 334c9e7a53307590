import { openApp, type App } from "../../app/app.ts";
import { readConfig } from "../../config.ts";
import { simulatedInstanceId } from "../../domain/instance-id.ts";
import { explainHold } from "../../domain/trouble/hold.ts";
import { exitCodes, writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { formatLatestRuns } from "../resync/resync-runs-text.ts";
import { formatImages, formatStatus } from "./status-text.ts";

export interface StatusOptions {
  readonly json: boolean;
  readonly check: boolean;
  readonly ignoreHeld: boolean;
}

/** `avatars status` */
export async function showStatus({ json, check, ignoreHeld }: StatusOptions, io: CommandIo): Promise<number> {
  const app = await openApp(readConfig(), {
    defaultLogLevel: "warn",
    maxConnections: 2,
    migrate: false,
    signal: io.signal,
  });
  try {
    if (check) return await checkAll(app, ignoreHeld, io);
    const isKept = app.config.images.kind !== "off";
    const [instances, runs, night, images] = await Promise.all([
      app.readStatus(),
      app.resyncs.findLatestRuns(),
      app.resyncs.findLatestNight(),
      isKept ? app.images.readGauges() : undefined,
    ]);
    if (json) {
      const resync = { night: night ?? null, instances: Object.fromEntries(runs) };
      writeJson(io.stdout, { instances, resync, images: images ?? null });
    } else {
      // All of it is our own words: instances are told by their ids.
      const lines = [...formatStatus(instances), ...formatLatestRuns(runs, night), ...formatImages(images)];
      for (const line of lines) writeHint(io, io.stdout, line);
    }
    return exitCodes.done;
  } finally {
    await app.close();
  }
}

/** A line for each trouble and an exit code, for alarms that look every few minutes. */
async function checkAll(app: App, ignoreHeld: boolean, io: CommandIo): Promise<number> {
  const troubles: string[] = [];
  const stalled = await app.findStalledInstances();
  if (stalled.length > 0) {
    troubles.push(
      `contacts of instance ${stalled.join(", ")} are due and no worker has worked on them for 2 minutes: is one running?`,
    );
  }
  for (const { instanceId, reason } of ignoreHeld ? [] : await app.findHeldInstances()) {
    if (instanceId === simulatedInstanceId) continue;
    const { text, advice } = explainHold(reason);
    // What ends by waiting is no trouble.
    if (advice !== undefined)
      troubles.push(`contacts of instance ${instanceId} are due and it is held: ${text}; ${advice}`);
  }
  for (const trouble of troubles) writeHint(io, io.stderr, `avatars: ${trouble}`);
  if (troubles.length > 0) return exitCodes.incomplete;
  writeLine(
    io.stdout,
    `ok: no contact has been due for 2 minutes without a worker on its instance${ignoreHeld ? "" : ", and none waits for a person to mend it"}`,
  );
  return exitCodes.done;
}

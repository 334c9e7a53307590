import { openApp, type App, type InstanceStatus } from "../app.ts";
import { readConfig } from "../config.ts";
import { explainHold } from "../domain/hold.ts";
import { formatDuration } from "../lib/duration.ts";
import { exitCodes, writeJson, writeLine, type CommandIo } from "./io.ts";
import { formatTable } from "./table.ts";

export interface StatusOptions {
  readonly json: boolean;
  readonly check: boolean;
}

/** `avatars status` */
export async function showStatus({ json, check }: StatusOptions, io: CommandIo): Promise<number> {
  const app = await openApp(readConfig(), {
    defaultLogLevel: "warn",
    maxConnections: 2,
    migrate: false,
    signal: io.signal,
  });
  try {
    if (check) return await checkForStall(app, io);
    const instances = await app.readStatus();
    if (json) writeJson(io.stdout, { instances });
    else for (const line of formatStatus(instances, app.config.requestsPerSecond)) writeLine(io.stdout, line);
    return exitCodes.done;
  } finally {
    await app.close();
  }
}

/** One line and an exit code, for whoever asks every few minutes. */
async function checkForStall(app: App, io: CommandIo): Promise<number> {
  const stalled = await app.findStalledInstances();
  if (stalled.length === 0) {
    writeLine(io.stdout, "ok: no contact has been due for 2 minutes without anybody working on its instance");
    return exitCodes.done;
  }
  const text = `contacts of instance ${stalled.join(", ")} are due and nobody has worked on them for 2 minutes`;
  writeLine(io.stderr, `avatars: ${text}: is a worker running?`);
  return exitCodes.incomplete;
}

function formatStatus(instances: readonly InstanceStatus[], defaultRate: number): string[] {
  if (instances.length === 0)
    return ["no instances yet: add one with avatars instance add, or try avatars enrich --simulate"];
  const header = [
    "instance",
    "state",
    "calls/s",
    "due",
    "claimed",
    "retrying",
    "present",
    "absent",
    "hidden",
    "invalid",
    "unreachable",
    "unknown",
  ];
  const rows = instances.map(({ instanceId, state, requestsPerSecond, due, claimed, waiting, contacts }) => [
    instanceId,
    state,
    requestsPerSecond ?? defaultRate,
    due,
    claimed,
    waiting,
    contacts.present,
    contacts.absent,
    contacts.hidden,
    contacts.invalid,
    contacts.unreachable,
    contacts.unknown,
  ]);
  return [...formatTable(header, rows), ...instances.flatMap(toRemarks)];
}

function toRemarks({
  instanceId,
  state,
  heldReason,
  heldUntil,
  oldestDueAt,
  stalled,
}: InstanceStatus): string[] {
  const remarks: string[] = [];
  if (state === "held" && heldReason !== undefined) {
    const { text, advice } = explainHold(heldReason);
    const until = heldUntil ? `; next try ${heldUntil.toISOString()}` : "";
    remarks.push(`${instanceId} is held: ${text}${until}${advice ? `; ${advice}` : ""}`);
  }
  if (stalled) remarks.push(`${instanceId}: contacts are due and nobody works on them: start avatars worker`);
  else if (oldestDueAt) {
    remarks.push(
      `${instanceId}: the oldest due contact waits for ${formatDuration(Date.now() - oldestDueAt.getTime())}`,
    );
  }
  return remarks;
}

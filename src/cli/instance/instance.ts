import { explainHold } from "../../domain/trouble/hold.ts";
import type { QuietHours } from "../../domain/care/care.ts";
import { toCareFacts } from "../../domain/care/care-view.ts";
import { findCarePause } from "../../domain/care/care-pause.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { findInstanceRemark } from "../../domain/instance-remark.ts";
import { UserError } from "../../lib/errors.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { parseApiUrl } from "./api-url.ts";
import { askToken, checkToken, readTokenFromStdin } from "./ask-token.ts";
import { describeCarePause } from "./care-text.ts";
import { writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { unknownInstance } from "./resolve-instance.ts";
import { formatTable } from "../terminal/table.ts";
import { withApp } from "../terminal/with-app.ts";
import { toCounted } from "../terminal/counted.ts";

export interface AddInstanceOptions {
  readonly id: InstanceId;
  readonly url: string;
  readonly token?: string;
  readonly tokenStdin: boolean;
  readonly label?: string;
  readonly rps?: number;
  readonly maxInFlight?: number;
  readonly perDay?: number;
  readonly quiet?: QuietHours;
  readonly quietInteractive?: boolean;
  readonly timeZone?: string;
}

/** `avatars instance add` */
export async function addInstance(options: AddInstanceOptions, io: CommandIo): Promise<number> {
  const { id, label, rps, maxInFlight, perDay, quiet, quietInteractive, timeZone } = options;
  const care = { callsPerDay: perDay, quietHours: quiet, quietInteractive, timeZone };
  const apiUrl = parseApiUrl(options.url);
  const token = await getToken(options, io);
  return withApp(io, async (app) => {
    const rate = { requestsPerSecond: rps, maxInFlight };
    const before = await app.instances.put({ id, apiUrl, token, label, ...rate, ...care }, app.operator);
    writeLine(io.stdout, before ? `instance ${id} updated` : `instance ${id} added`);
    const remark = findInstanceRemark(id, apiUrl);
    if (remark !== undefined) writeLine(io.stdout, `instance ${id} ${remark}`);
    if (before?.state === "held") writeLine(io.stdout, `instance ${id} is held: it is tried again at once`);
  });
}

/** `avatars instance list` */
export async function listInstances(options: { readonly json: boolean }, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const instances = await app.instances.list();
    if (options.json) return writeJson(io.stdout, instances);
    if (instances.length === 0)
      return writeHint(io, io.stdout, "no instances yet: add one with avatars instance add");
    const rows = instances.map((instance) => [
      instance.id,
      describeState(instance),
      instance.requestsPerSecond ?? app.config.requestsPerSecond,
      instance.apiUrl,
      instance.label ?? "",
    ]);
    for (const line of formatTable(["instance", "state", "calls/s", "url", "label"], rows))
      writeLine(io.stdout, line);
  });
}

function describeState(instance: InstanceView): string {
  const { state, heldReason } = instance;
  if (heldReason !== undefined) return `${state}: ${explainHold(heldReason).text}`;
  const pause = findCarePause(toCareFacts(instance), new Date());
  return state === "active" && pause ? `${state}: ${describeCarePause(pause, instance)}` : state;
}

/** `avatars instance pause` */
export async function pauseInstance(id: InstanceId, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const before = await app.instances.pause(id, app.operator);
    if (before === undefined) throw unknownInstance(id);
    writeHint(
      io,
      io.stdout,
      before === "paused"
        ? `instance ${id} is paused already`
        : `instance ${id} paused: its contacts stay due; go on with avatars instance resume ${id}`,
    );
  });
}

const resumed = {
  active: "is active already",
  paused: "resumed",
  held: "is held: it is tried again at once",
  throttled: "is called again at once, though the provider asked to wait",
} as const;

/** `avatars instance resume` */
export async function resumeInstance(id: InstanceId, io: CommandIo): Promise<number> {
  return withApp(io, async (app) => {
    const before = await app.instances.resume(id, app.operator);
    if (before === undefined) throw unknownInstance(id);
    writeLine(io.stdout, `instance ${id} ${resumed[before]}`);
  });
}

export interface RemoveInstanceOptions {
  readonly id: InstanceId;
  readonly withContacts: boolean;
}

/** `avatars instance remove` */
export async function removeInstance(
  { id, withContacts }: RemoveInstanceOptions,
  io: CommandIo,
): Promise<number> {
  return withApp(io, async (app) => {
    if (!(await app.instances.find(id))) throw unknownInstance(id);
    const contacts = await app.instances.countContacts(id);
    // The count is for people: whether it has any is asked again where it is removed.
    if (withContacts) await app.instances.remove(id, app.operator);
    else if (!(await app.instances.removeEmpty(id, app.operator))) {
      throw new UserError(
        "instance-has-contacts",
        `instance ${id} has ${toCounted(await app.instances.countContacts(id), "contact with its avatar", "contacts with their avatars")}: add --with-contacts to remove them too`,
      );
    }
    writeLine(
      io.stdout,
      contacts > 0
        ? `instance ${id} removed with ${toCounted(contacts, "contact")}`
        : `instance ${id} removed`,
    );
  });
}

async function getToken(options: AddInstanceOptions, io: CommandIo): Promise<string> {
  if (options.token !== undefined && options.tokenStdin) {
    throw new UserError("token-twice", "--token and --token-stdin cannot go together");
  }
  if (options.tokenStdin) return readTokenFromStdin(io);
  if (options.token === undefined) return askToken(io);
  return checkToken(options.token, "--token");
}

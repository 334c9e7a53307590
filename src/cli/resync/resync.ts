import type { App } from "../../app/app.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import { simulatedInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";
import { writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { getInstance, storeInstanceFromEnvironment } from "../instance/resolve-instance.ts";
import { formatForecast } from "./resync-text.ts";
import { withApp } from "../terminal/with-app.ts";
import { toCounted } from "../terminal/counted.ts";

/** Conditions of `--where`. */
export interface ResyncWhere {
  readonly statuses?: readonly ContactStatus[];
  readonly kind?: "user" | "group";
}

export interface ResyncOptions {
  readonly dryRun: boolean;
  readonly now: boolean;
  readonly instance?: InstanceId;
  readonly where?: ResyncWhere;
  /** ms */
  readonly olderThan?: number;
  readonly limit?: number;
  readonly json: boolean;
}

/** `avatars resync` */
export async function resync(options: ResyncOptions, io: CommandIo): Promise<number> {
  if (options.dryRun === options.now) {
    throw new UserError(
      "wrong-usage",
      options.now
        ? "--dry-run only shows, --now has it done: give one of them"
        : "say what to do: --dry-run shows what is due and how far the next night gets, --now has it done",
    );
  }
  return withApp(io, async (app) => {
    await storeInstanceFromEnvironment(app);
    if (options.instance) await getInstance(app, options.instance);
    if (options.now) await openAll(app, options, io);
    else if (toFilter(options) || options.limit !== undefined) await countAll(app, options, io);
    else await showPlan(app, options, io);
  });
}

/** All lines are our own words. */
async function showPlan({ resyncs, config }: App, { instance, json }: ResyncOptions, io: CommandIo) {
  const forecast = await resyncs.plan(instance);
  if (json) return writeJson(io.stdout, forecast);
  for (const line of formatForecast(forecast, config)) writeHint(io, io.stdout, line);
}

async function openAll(app: App, options: ResyncOptions, io: CommandIo): Promise<void> {
  const filter = toFilter(options);
  const opened = [];
  for (const instanceId of await listIds(app, options.instance)) {
    opened.push(await app.resyncs.open({ instanceId, filter, mostContacts: options.limit }, app.operator));
  }
  if (options.json) return writeJson(io.stdout, opened);
  for (const { instanceId, runId, kind, contacts } of opened) {
    const due = toCounted(contacts, "due contact");
    const some = toCounted(contacts, "contact");
    writeLine(
      io.stdout,
      kind === "night"
        ? `instance ${instanceId}: a night is under way (run ${runId}) and asks ${filter ? `${some} first` : due}`
        : `instance ${instanceId}: run ${runId} asks ${filter ? `${some}, those that were not asked for longest first` : due}`,
    );
  }
  writeHint(
    io,
    io.stderr,
    opened.some(({ contacts }) => contacts > 0)
      ? "a worker asks for them: avatars worker; follow them with avatars status"
      : "there is no contact to ask",
  );
}

async function countAll({ resyncs, ...app }: App, options: ResyncOptions, io: CommandIo): Promise<void> {
  const filter = toFilter(options);
  const counts = [];
  for (const instanceId of await listIds(app, options.instance)) {
    const all = filter
      ? await resyncs.countMatching(instanceId, filter)
      : await countDue(resyncs, instanceId);
    counts.push({ instanceId, contacts: Math.min(all, options.limit ?? Infinity) });
  }
  if (options.json) return writeJson(io.stdout, counts);
  for (const { instanceId, contacts } of counts)
    writeLine(io.stdout, `instance ${instanceId}: --now would ask ${toCounted(contacts, "contact")}`);
}

async function countDue(resyncs: App["resyncs"], instanceId: InstanceId): Promise<number> {
  const { instances } = await resyncs.plan(instanceId);
  return instances.reduce(
    (sum, { dueNow }) => sum + Object.values(dueNow).reduce((all, due) => all + due, 0),
    0,
  );
}

async function listIds(
  { instances }: Pick<App, "instances">,
  only: InstanceId | undefined,
): Promise<InstanceId[]> {
  if (only !== undefined) return [only];
  const ids = (await instances.list()).map(({ id }) => id).filter((id) => id !== simulatedInstanceId);
  if (ids.length > 0) return ids;
  throw new UserError("no-instance", "there is no GREEN-API instance yet: run avatars instance add");
}

function toFilter({ where, olderThan }: ResyncOptions) {
  if (where === undefined && olderThan === undefined) return undefined;
  return {
    statuses: where?.statuses,
    kind: where?.kind,
    olderThanMs: olderThan,
  };
}

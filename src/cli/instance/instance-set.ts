import type { InstanceView } from "../../domain/views/instance-view.ts";
import type { Config } from "../../config.ts";
import type { QuietHours } from "../../domain/care/care.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";
import { parseApiUrl } from "./api-url.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";
import { describeCap, describeQuietHours } from "./care-text.ts";
import { describeMaxInFlight, describeRate, describeShare } from "./instance-text.ts";
import { unknownInstance } from "./resolve-instance.ts";
import { withApp } from "../terminal/with-app.ts";

export interface SetInstanceOptions {
  readonly id: InstanceId;
  readonly rps?: number | "default";
  readonly maxInFlight?: number | "default";
  readonly resyncShare?: number | "default";
  readonly resyncDayShare?: number | "default";
  readonly perDay?: number | "none";
  readonly quiet?: QuietHours | "none";
  readonly quietInteractive?: boolean;
  readonly timeZone?: string;
  readonly label?: string;
  readonly url?: string;
}

/** `avatars instance set` */
export async function setInstance(options: SetInstanceOptions, io: CommandIo): Promise<number> {
  const { id, rps, maxInFlight, resyncShare, resyncDayShare, label, url, ...more } = options;
  const { perDay, quiet, quietInteractive, timeZone } = more;
  const given = [rps, maxInFlight, resyncShare, resyncDayShare, label, url, ...Object.values(more)];
  if (given.every((option) => option === undefined)) {
    throw new UserError(
      "nothing-to-set",
      "say what to change: --rps, --max-in-flight, --resync-share, --resync-day-share, --per-day, --quiet, --quiet-interactive, --time-zone, --label or --url; avatars instance show tells how it is set",
    );
  }
  const settings = {
    requestsPerSecond: orNull(rps),
    maxInFlight: orNull(maxInFlight),
    resyncShare: orNull(resyncShare),
    resyncDayShare: orNull(resyncDayShare),
    callsPerDay: perDay === "none" ? null : perDay,
    quietHours: quiet === "none" ? null : quiet,
    quietInteractive,
    timeZone,
    label: label === "" ? null : label,
    apiUrl: url === undefined ? undefined : parseApiUrl(url),
  };
  return withApp(io, async (app) => {
    const changed = await app.instances.changeAsOperator(id, settings, app.operator);
    if (changed.kind === "unknown") throw unknownInstance(id);
    if (changed.kind === "refused") throw unreadableToken(id);
    const { before, after } = changed;
    const [from, to] = [describeSettings(before, app.config), describeSettings(after, app.config)];
    const changes = Object.keys(to).filter((name) => from[name] !== to[name]);
    for (const name of changes) writeLine(io.stdout, `instance ${id}: ${name} ${from[name]} → ${to[name]}`);
    if (changes.length === 0) writeLine(io.stdout, `instance ${id} is set so already`);
    if (changed.isTested) writeLine(io.stdout, `instance ${id} is held: it is tried again at once`);
  });
}

function unreadableToken(id: InstanceId): UserError {
  return new UserError(
    "token-unreadable",
    `instance ${id}: its stored token cannot be read with this AVATARS_SECRET_KEY, and so not go along to another host; give both: avatars instance add ${id} --url URL`,
  );
}

/** `default` is no value of its own. */
function orNull(value: number | "default" | undefined): number | null | undefined {
  return value === "default" ? null : value;
}

function describeSettings(instance: InstanceView, config: Config): Record<string, string> {
  return {
    "calls/s": describeRate(instance, config),
    "max in flight": describeMaxInFlight(instance, config),
    "resync share": describeShare(instance.resyncShare, config.resync.share),
    "resync share by day": describeShare(instance.resyncDayShare, config.resync.dayShare),
    "calls a day": describeCap(instance),
    "quiet hours": describeQuietHours(instance),
    "time zone": instance.timeZone ?? "UTC",
    label: instance.label ?? "(none)",
    url: instance.apiUrl,
  };
}

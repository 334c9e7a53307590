import { formatQuietHours, parseQuietHours, type CareFacts } from "./care.ts";

/** An instance's care as people and programs see it. */
export interface CareView {
  /** Calls of getAvatar in a day of its time zone, at most; undefined: no cap. */
  readonly callsPerDay: number | undefined;
  /** Those that count for the present day, with what a worker has reserved of them; undefined: there is no cap. */
  readonly callsToday: number | undefined;
  /** When no call is sent, by its time zone: `22:00-07:00`. */
  readonly quietHours: string | undefined;
  /** Single contacts that a person asks for are called for in quiet hours, too. */
  readonly quietInteractive: boolean;
  /** Undefined: UTC. */
  readonly timeZone: string | undefined;
}

/** Undefined: the instance has no care. */
export function toCareFacts(view: CareView): CareFacts | undefined {
  const { callsPerDay, callsToday = 0, quietHours, quietInteractive, timeZone = "UTC" } = view;
  const quiet = quietHours === undefined ? undefined : parseQuietHours(quietHours);
  if (callsPerDay === undefined && quiet === undefined) return undefined;
  return {
    callsPerDay,
    callsToday,
    quiet: quiet?.ok ? quiet.value : undefined,
    quietInteractive,
    timeZone,
  };
}

/** A row's columns. */
interface CareColumns {
  readonly callsPerDay: number | null;
  readonly callsToday: number | null;
  readonly quietFrom: number | null;
  readonly quietUntil: number | null;
  readonly quietInteractive: boolean | null;
  readonly timeZone: string | null;
}

/** @param columns null: the instance has no care */
export function toCareView(columns: CareColumns | null): CareView {
  const callsPerDay = columns?.callsPerDay ?? undefined;
  return {
    callsPerDay,
    callsToday: callsPerDay === undefined ? undefined : (columns?.callsToday ?? 0),
    quietHours: columns ? toQuietHoursText(columns) : undefined,
    quietInteractive: columns?.quietInteractive ?? false,
    timeZone: columns?.timeZone ?? undefined,
  };
}

function toQuietHoursText({ quietFrom: from, quietUntil: until }: CareColumns): string | undefined {
  return from === null || until === null ? undefined : formatQuietHours({ from, until });
}

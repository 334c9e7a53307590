import type { ChatKind } from "../../domain/chat-kind.ts";
import type { ChatId } from "../../domain/chat-id.ts";
import type { Allowance, LeasedInstance, LeaseRefusal } from "../../domain/ledger/lease.ts";
import { findDayEnd, findQuietChange, parseDay } from "../../domain/care/care-clock.ts";
import { leastMarginMs, marginDecayPerMinute } from "../../domain/pace/refusal-constants.ts";
import { readCareFacts, toCareFacts, type CareJson } from "./care-sql.ts";
import { heldKindSql, isHeldSql, isPartialSql } from "./held-sql.ts";
import { toCallsAllowed, toMarginMs } from "./pace-sql.ts";

/** The settings that leases need. */
export interface PaceSettings {
  /** The rate of instances that set none. */
  readonly requestsPerSecond: number;
  /** A call may be in flight for this long, ms: until then no later lease asks for its contact. */
  readonly inFlightMs: number;
}

/** How long a lease lasts, ms: the row only shows it. Holders and those who watch them go by clocks of their own (worker/lease/). */
export const leasedForMs = 4_000;

/** A moment as ms of the epoch: a number that finds back to it exactly. */
export const toMs = (moment: string) => `extract(epoch from ${moment})::float8 * 1000`;

/** Conditions on the row `i` and its state of care `q` (care-sql.ts): the instance may not be called. */
export interface CareRefusals {
  readonly quiet: string;
  readonly capped: string;
}

/**
 * Columns of a select from the row `i` of an instance and its state of care `q`: what its holder is to know.
 * @param defaultRate the rate of instances that set none, e.g. `$5`
 */
export function toInstanceColumns(defaultRate: string, { quiet, capped }: CareRefusals): string {
  return `i.api_url, i.sealed_token, ${toCallsAllowed("i", defaultRate)} as rate, ${toMarginMs("i")} as margin, i.max_in_flight,
    i.state = 'held' and i.held_until <= clock_timestamp() and ${heldKindSql} is null as probing,
    case when i.state = 'held' then ${heldKindSql} end as held_kind, i.held_until <= clock_timestamp() as may_probe,
    case when ${isHeldSql} then i.allowed_chat_ids end as allowed_chat_ids,
    q.is_quiet as interactive_only, q.day::text as day, ${toCareFacts("q")} as care,
    case when i.state = 'paused' then 'paused' when ${quiet} then 'quiet' when ${capped} then 'capped'
      when ${isHeldSql} and not ${isPartialSql} then 'held'
      when i.throttled_until > clock_timestamp() then 'throttled' end as refusal`;
}

export interface InstanceCells {
  readonly api_url: string;
  readonly sealed_token: string;
  readonly rate: number;
  readonly margin: number;
  readonly max_in_flight: number | null;
  readonly probing: boolean;
  readonly held_kind: ChatKind | null;
  readonly may_probe: boolean | null;
  readonly allowed_chat_ids: ChatId[] | null;
  readonly interactive_only: boolean;
  /** The day whose calls are counted; null: there is no cap. */
  readonly day: string | null;
  readonly care: CareJson | null;
  readonly refusal: Exclude<LeaseRefusal, "gone" | "busy"> | null;
}

/**
 * What the care leaves to the holder.
 * @param granted calls of the day, all together
 * @param nowMs the database's clock
 */
export function toAllowance(
  { care: json, day, interactive_only: isQuiet }: InstanceCells,
  granted: number | null,
  nowMs: number,
): Allowance | undefined {
  const care = readCareFacts(json);
  if (care === undefined) return undefined;
  const dayEndMs = day === null ? Infinity : findDayEnd(care, parseDay(day));
  // A lease that goes on in quiet hours is for what is excepted from them.
  const quietMs = isQuiet ? Infinity : findQuietChange(care, nowMs);
  return {
    grant: day === null ? undefined : { day, calls: granted ?? 0 },
    endsInMs: Math.min(dayEndMs, quietMs) - nowMs,
  };
}

export function toLeasedInstance(cells: InstanceCells): LeasedInstance {
  return {
    apiUrl: cells.api_url,
    sealedToken: cells.sealed_token,
    requestsPerSecond: cells.rate,
    marginMs: cells.margin,
    maxInFlight: cells.max_in_flight ?? undefined,
    probing: cells.probing,
    heldKind:
      cells.held_kind === null ? undefined : { kind: cells.held_kind, mayProbe: cells.may_probe === true },
    allowedChatIds: cells.allowed_chat_ids ?? undefined,
    interactiveOnly: cells.interactive_only,
  };
}

/**
 * The settings of a row `i` that follow from calls. The margin shrinks with time spent on calls, not with time that passes: a
 * night without calls teaches nothing. Turns never go back.
 * @param calls since the last such setting, e.g. `h.calls`
 * @param turns an array of those of each priority
 */
export function toProgress(calls: string, turns: string, defaultRate: string): string {
  const spacingMs = `(1000 + ${toMarginMs("i")}) / greatest(0.1, ${toCallsAllowed("i", defaultRate)})`;
  const decay = `${marginDecayPerMinute} * ${calls} * ${spacingMs} / 60000`;
  return `margin_ms = case when ${calls} = 0 then i.margin_ms
      else greatest(${leastMarginMs}, ${toMarginMs("i")} * (1 - least(0.5, ${decay}))) end,
    turns = array[${[1, 2, 3].map((at) => `greatest(i.turns[${at}], (${turns})[${at}])`).join(", ")}]`;
}

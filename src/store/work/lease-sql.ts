import type { ChatId } from "../../domain/chat-id.ts";
import type { LeasedInstance } from "../../domain/ledger/lease.ts";
import { leastMarginMs, marginDecayPerMinute } from "../../domain/pace/refusal-constants.ts";
import { toCallsAllowed, toMarginMs } from "./pace-sql.ts";

/** How long a lease lasts, ms: the row only shows it. Holders and those who watch them go by clocks of their own (worker/lease/). */
export const leasedForMs = 4_000;

/** A moment as ms of the epoch. */
export const toMs = (moment: string) => `extract(epoch from ${moment})::float8 * 1000`;

/**
 * Columns of a select from the row `i` of an instance: what its holder is to know.
 * @param defaultRate the rate of instances that set none, e.g. `$5`
 */
export function toInstanceColumns(defaultRate: string): string {
  return `i.api_url, i.sealed_token, ${toCallsAllowed("i", defaultRate)} as rate, ${toMarginMs("i")} as margin, i.max_in_flight,
    i.state = 'held' and i.held_until <= clock_timestamp() as probing,
    case when i.state = 'held' and i.held_until > clock_timestamp() then i.allowed_chat_ids end as allowed_chat_ids,
    case when i.state = 'paused' then 'paused'
      when i.state = 'held' and i.held_until > clock_timestamp() and i.allowed_chat_ids is null then 'held'
      when i.throttled_until > clock_timestamp() then 'throttled' end as refusal`;
}

export interface InstanceCells {
  readonly api_url: string;
  readonly sealed_token: string;
  readonly rate: number;
  readonly margin: number;
  readonly max_in_flight: number | null;
  readonly probing: boolean;
  readonly allowed_chat_ids: ChatId[] | null;
  readonly refusal: "paused" | "held" | "throttled" | null;
}

export function toLeasedInstance(cells: InstanceCells): LeasedInstance {
  return {
    apiUrl: cells.api_url,
    sealedToken: cells.sealed_token,
    requestsPerSecond: cells.rate,
    marginMs: cells.margin,
    maxInFlight: cells.max_in_flight ?? undefined,
    probing: cells.probing,
    allowedChatIds: cells.allowed_chat_ids ?? undefined,
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

import {
  initialMarginMs,
  leastCallsAllowed,
  recoveryPerSecond,
} from "../../domain/pace/refusal-constants.ts";

/**
 * Calls per second that an instance is set to.
 * @param i the alias of the instance's row
 * @param defaultRate the rate of instances that set none, e.g. `$5`
 */
export function toRate(i: string, defaultRate: string): string {
  return `coalesce(${i}.requests_per_second, ${defaultRate}::real)::float8`;
}

/** Seconds since a moment of the past. A clock that was set back must not turn them into a negative number. */
function toSecondsSince(moment: string, now: string): string {
  return `greatest(0, extract(epoch from ${now} - ${moment})::float8)`;
}

/**
 * The share of its rate that an instance uses at a moment after refusals, from 0 to 1. It was slowed down to a share, and
 * recovers with each second since.
 * @param i the alias of the instance's row
 * @param now a moment
 */
export function toSlowdown(i: string, now = "clock_timestamp()"): string {
  // Without a slow-down it is exactly 1: the rate is cut to whole calls per second elsewhere.
  return `coalesce(least(1, ${i}.slowdown + ${recoveryPerSecond} * case when ${i}.slowed_at is not null then ${toSecondsSince(`${i}.slowed_at`, now)} end), 1)`;
}

/**
 * Calls per second that an instance may make at a moment: its rate, less what refusals have taken of it. After a hold it
 * begins with one a second, and doubles. The only place that says so: claims, reservations, status and metrics have it from
 * here.
 * @param i the alias of the instance's row
 * @param defaultRate the rate of instances that set none, e.g. `$5`
 */
export function toCallsAllowed(i: string, defaultRate: string, now = "clock_timestamp()"): string {
  const rate = toRate(i, defaultRate);
  const rampSeconds = `least(20, floor(${toSecondsSince(`${i}.ramp_from`, now)}))`;
  return `greatest(least(${leastCallsAllowed}, ${rate}),
    least(${rate} * ${toSlowdown(i, now)}, case when ${i}.ramp_from is null then ${rate} else 2 ^ ${rampSeconds} end))`;
}

/** The margin of an instance, ms. */
export function toMarginMs(i: string): string {
  return `coalesce(${i}.margin_ms, ${initialMarginMs})::float8`;
}

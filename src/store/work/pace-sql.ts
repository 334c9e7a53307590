import {
  callsInFirstStep,
  initialMarginMs,
  leastCallsAllowed,
  probeShare,
  probeStepMs,
  whatsappRecoveryPerSecond,
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
 * The share of its rate, from 0 to 1, that refusals of WhatsApp's leave an instance at a moment. It was slowed down to a share,
 * and recovers with each second since.
 * @param i the alias of the instance's row
 */
export function toWhatsappShare(i: string, now = "clock_timestamp()"): string {
  // Without a slow-down it is exactly 1: the rate is cut to whole calls per second elsewhere.
  return `coalesce(least(1, ${i}.slowdown + ${whatsappRecoveryPerSecond} * case when ${i}.slowed_at is not null then ${toSecondsSince(`${i}.slowed_at`, now)} end), 1)`;
}

/** Calls per second that the provider's refusals leave: `providerRateAt` (domain/pace/provider-pace.ts) in SQL. */
function toProviderRate(i: string, now: string): string {
  const seconds = toSecondsSince(`${i}.climb_from`, now);
  const passed = `(${seconds} - ${i}.probe_after_ms / 1000.0)`;
  const step = probeStepMs / 1000;
  const firstStep = `(${step} + ${callsInFirstStep} / ${i}.taken_rate)`;
  const steps = `least(20, 1 + floor(greatest(0, ${passed} - ${firstStep} + ${step}) / ${step}))`;
  const climbed = `${i}.climb_rate * 2 ^ least(20, ${seconds})`;
  return `case when ${i}.climb_from is null then 'infinity'
    when ${i}.taken_rate is null then ${climbed}
    when ${passed} < 0 then least(${climbed}, ${i}.taken_rate)
    else ${i}.taken_rate + greatest(1, ${probeShare} * ${i}.taken_rate) * (2 ^ ${steps} - 1) end`;
}

/** Calls per second that all refusals leave, and the rate at most. */
function toCallsLeft(i: string, defaultRate: string, now: string): string {
  const rate = toRate(i, defaultRate);
  return `least(${rate} * ${toWhatsappShare(i, now)}, ${toProviderRate(i, now)})`;
}

/**
 * The share of its rate that an instance uses after refusals, from 0 to 1.
 * @param i the alias of the instance's row
 * @param defaultRate the rate of instances that set none, e.g. `$5`
 */
export function toSlowdown(i: string, defaultRate: string): string {
  return `${toCallsLeft(i, defaultRate, "clock_timestamp()")} / ${toRate(i, defaultRate)}`;
}

/**
 * Calls per second that an instance may make at a moment: its rate, less what refusals have taken of it. After a hold it
 * begins with one a second, and doubles. The only place that says so: leases, status and metrics have it from
 * here.
 * @param i the alias of the instance's row
 * @param defaultRate the rate of instances that set none, e.g. `$5`
 * @param now a moment
 */
export function toCallsAllowed(i: string, defaultRate: string, now = "clock_timestamp()"): string {
  const rate = toRate(i, defaultRate);
  const rampSeconds = `least(20, floor(${toSecondsSince(`${i}.ramp_from`, now)}))`;
  return `greatest(least(${leastCallsAllowed}, ${rate}),
    least(${toCallsLeft(i, defaultRate, now)}, case when ${i}.ramp_from is null then ${rate} else 2 ^ ${rampSeconds} end))`;
}

/** The margin of an instance, ms. */
export function toMarginMs(i: string): string {
  return `coalesce(${i}.margin_ms, ${initialMarginMs})::float8`;
}

import type { Figures } from "./measure.ts";

/** What a row has to reach. */
export interface Target {
  readonly share: number;
  /** At most one refused call in so many; a started lot counts as a whole one. */
  readonly callsPerRefused: number;
  /** Of the largest worker; undefined: whatever it is. */
  readonly mostRssMb?: number;
}

export const calmTarget: Target = { share: 0.98, callsPerRefused: 2_000 };
export const slowTarget: Target = { ...calmTarget, mostRssMb: 200 };
export const jitterTarget: Target = { share: 0.95, callsPerRefused: 1_000 };

export interface Verdict {
  readonly text: string;
  /** A row that missed its target though the machine had CPU left. */
  readonly failed: boolean;
}

/** Below it processes wait for a core rather than for each other. */
const leastIdle = 0.1;
const mostSimulatorCpu = 0.9;

export function judge(figures: Figures, target: Target): Verdict {
  const { share, refused, calls, idle, othersCpu, simulatorCpu } = figures;
  if (figures.workers.maxRssMb > (target.mostRssMb ?? Infinity)) return { text: "MISSED: RSS", failed: true };
  const met = share >= target.share && refused <= Math.ceil(calls / target.callsPerRefused);
  if (met) return { text: "met", failed: false };
  if (idle < leastIdle) {
    const [idlePercent, othersPercent] = [idle, othersCpu].map((cpu) => Math.round(cpu * 100));
    return { text: `no CPU left: ${idlePercent} % idle, others ${othersPercent} %`, failed: false };
  }
  if (simulatorCpu > mostSimulatorCpu) return { text: "simulator has no CPU left", failed: false };
  return { text: "MISSED", failed: true };
}

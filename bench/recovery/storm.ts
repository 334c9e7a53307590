import { withCloser } from "../run-bench.ts";
import { countOverBudget, countRefused, findRecovery, select, toRate } from "./calls.ts";
import { openStage, readNowMs, requestsPerSecond, type StageOptions } from "./stage.ts";

/** The provider refuses all calls for some seconds, as when others have used the budget up, and allows the full rate again. */
export interface StormFigures {
  /** Calls in the storm. */
  readonly inStorm: number;
  /** From its end until the end of the first second at 90 % of the rate; undefined: never. */
  readonly recoveredSeconds: number | undefined;
  /** Refused after its end, and over budget by arrival: a second storm would be made of them. */
  readonly refusedAfter: number;
  readonly overAfter: number;
  /** Accepted calls in the last ten seconds that were looked at, in relation to the rate. */
  readonly shareAtEnd: number;
}

export const stormSeconds = 4;
export const recoveredShare = 0.9;
const observedSeconds = 60;
const atEndMs = 10_000;

export async function measureStorm(options: StageOptions): Promise<StormFigures> {
  return withCloser(async (closer) => {
    const { simulator, wait } = await openStage(options, closer, stormSeconds + observedSeconds + 10);
    await simulator.setRate(0);
    const beganMs = readNowMs();
    await wait(stormSeconds);
    await simulator.setRate(requestsPerSecond);
    const fromMs = readNowMs();
    await wait(observedSeconds);
    const untilMs = readNowMs();
    const calls = await simulator.readCalls();
    const after = select(calls, fromMs, untilMs);
    const full = options.instances * requestsPerSecond;
    return {
      inStorm: select(calls, beganMs, fromMs).length,
      recoveredSeconds: findRecovery(calls, { fromMs, untilMs, perSecond: recoveredShare * full }),
      refusedAfter: countRefused(after),
      overAfter: countOverBudget(after, requestsPerSecond),
      shareAtEnd: toRate(after, untilMs - atEndMs, untilMs) / full,
    };
  });
}

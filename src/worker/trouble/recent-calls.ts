import type { CallsBefore } from "../../domain/pace/after-refusal.ts";

/** The calls that a process has sent to an instance of late, and which of them were refused for the rate. */
export interface RecentCalls {
  /** A call was sent. Moments are by the database's clock. */
  sent(askedAtMs: number): void;
  /** A call has its answer. */
  answered(askedAtMs: number): void;
  /** A call was refused. Returns what became of those before it; one that is not answered yet counts as taken. */
  refused(askedAtMs: number): CallsBefore;
}

interface RecentCall {
  readonly askedAtMs: number;
  isRefused: boolean;
}

/** Enough for some seconds of the fastest instance. What is older says nothing that is still needed. */
const kept = 1_000;

export function createRecentCalls(): RecentCalls {
  let calls: RecentCall[] = [];
  /** When the last one was sent of those that have their answer. */
  let answeredAtMs = -Infinity;
  return {
    sent(askedAtMs) {
      calls.push({ askedAtMs, isRefused: false });
      // Trimmed in blocks: a shift per call would cost O(kept).
      if (calls.length > 2 * kept) calls = calls.slice(-kept);
    },
    answered(askedAtMs) {
      answeredAtMs = Math.max(answeredAtMs, askedAtMs);
    },
    refused(askedAtMs) {
      const call = calls.findLast((other) => other.askedAtMs === askedAtMs && !other.isRefused);
      const earlier = calls.filter((other) => other.askedAtMs < askedAtMs);
      if (call) call.isRefused = true;
      return {
        taken: findWithin(earlier, askedAtMs - 1000).filter(({ isRefused }) => !isRefused).length,
        refused: findWithin(earlier, askedAtMs - 2000).filter(({ isRefused }) => isRefused).length,
        isAnswering: answeredAtMs > askedAtMs - 2000,
      };
    },
  };
}

/** The calls since a moment; where there are none, as at a slow pace, the last one. */
function findWithin(calls: readonly RecentCall[], sinceMs: number): readonly RecentCall[] {
  const within = calls.filter(({ askedAtMs }) => askedAtMs > sinceMs);
  return within.length > 0 ? within : calls.slice(-1);
}

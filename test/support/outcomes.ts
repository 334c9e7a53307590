import type { InstanceOutcome } from "../../src/domain/outcome.ts";

/** One of each kind that speaks of the instance. */
export const instanceOutcomes: readonly InstanceOutcome[] = [
  { kind: "throttled", scope: "instance", retryAfterMs: undefined, by: "provider" },
  { kind: "throttled", scope: "instance", retryAfterMs: 0, by: "whatsapp" },
  { kind: "throttled", scope: "instance", retryAfterMs: 3_600_000, by: "provider" },
  { kind: "unauthorized", scope: "instance", status: 401 },
  { kind: "not-found", scope: "instance" },
  { kind: "starting", scope: "instance" },
  { kind: "not-authorized", scope: "instance" },
  { kind: "blocked", scope: "instance" },
  { kind: "expired", scope: "instance" },
  { kind: "deleted", scope: "instance" },
  { kind: "quota-exhausted", scope: "instance", quota: "method", allowedChatIds: [] },
];

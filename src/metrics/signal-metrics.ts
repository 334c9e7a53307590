import { Counter, type Registry } from "prom-client";
import type { SignalOutcome } from "../domain/signal.ts";
import { instanceLabel } from "./instance-label.ts";

/** What the API tells of the provider's notifications. */
export interface CountedSignals {
  signalTaken(instanceId: string, outcome: SignalOutcome | "authorized" | "ignored"): void;
}

/** The notifications that this process has taken, by what became of them. */
export function createSignalMetrics(registry: Registry): CountedSignals {
  const signals = new Counter({
    name: "avatars_signals_total",
    help: "Notifications of the provider: added (a new chat), refreshed (an old answer), known, erased (not brought back), authorized, ignored",
    labelNames: [instanceLabel, "outcome"] as const,
    registers: [registry],
  });
  return {
    signalTaken: (instanceId, outcome) => signals.inc({ [instanceLabel]: instanceId, outcome }),
  };
}

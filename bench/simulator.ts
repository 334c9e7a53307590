import { constants, setPriority } from "node:os";
import type { LoggedCall } from "../src/simulator/world/call-log.ts";
import type { Latency } from "../src/simulator/world/latency.ts";
import type { SimulatorStats } from "../src/simulator/control/stats.ts";
import { startAvatars, until, type BenchProcess } from "./processes.ts";

/** `avatars simulate` in a process of its own, so that it shares no event loop with what is measured. */
export interface BenchSimulator extends BenchProcess {
  readonly url: string;
  /** Starts the statistics anew; the limit's windows stay. */
  clear(): Promise<void>;
  stats(): Promise<SimulatorStats>;
  /** The calls about one chat. */
  readCallsFor(chatId: string): Promise<LoggedCall[]>;
  /** All calls of getAvatar that are in its log, in the order of arrival. */
  readCalls(): Promise<LoggedCall[]>;
  /** Calls per sliding second that it accepts of each instance; 0: none. */
  setRate(requestsPerSecond: number): Promise<void>;
  setLatency(latency: Partial<Latency>): Promise<void>;
  setPictures(tuning: { readonly pictureLatencyMs?: number; readonly dripMs?: number }): Promise<void>;
  /** The share of each outcome that a picture may have, by name. */
  setPictureFaults(shares: Readonly<Record<string, number>>): Promise<void>;
}

/** What differs from GREEN-API's ways. */
export interface SimulatorSettings {
  readonly requestsPerSecond?: number;
  readonly latencyMs?: number;
  /** On every address of this machine: clients reach it as hosts of several names. */
  readonly isEverywhere?: boolean;
  /** Another one, which serves the pictures: drawing them would make the moments of calls late. */
  readonly picturesAt?: string;
  /** It serves pictures to others than are called: no clock depends on it. */
  readonly isForPictures?: boolean;
}

/** The median of an answer's time; the default spread, and one answer in a hundred about 1.5 s later still. */
export const latencyMs = 80;

const controlTimeoutMs = 15_000;
/** More than its log keeps. */
const mostCalls = 10_000_000;

/**
 * Short pauses for the garbage collector. While one lasts, what arrives is stamped too late, and what comes a second later
 * seems too early: with the defaults pauses of 30 to 60 ms gave some 20 refusals a minute, with these none.
 */
const promptOptions = ["--single-threaded-gc", "--max-semi-space-size=2"];

/** It goes first where the machine is full: a provider's clock does not wait for its clients. Only root may ask for it. */
function prefer(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_HIGHEST);
  } catch {
    // Its lag is reported all the same.
  }
}

/** Without faults: whatever share of the budget is missing afterwards, nobody but the client gave it away. */
export async function startBenchSimulator(
  jitterMs: number,
  signal: AbortSignal,
  settings: SimulatorSettings = {},
): Promise<BenchSimulator> {
  const faultless = ["--troubled-share", "0", "--latency-ms", String(settings.latencyMs ?? latencyMs)];
  const rps = String(settings.requestsPerSecond ?? 10);
  const host = settings.isEverywhere ? "0.0.0.0" : "127.0.0.1";
  const where = ["simulate", "--port", "0", "--host", host];
  const pictures = settings.picturesAt === undefined ? [] : ["--pictures-at", settings.picturesAt];
  const args = [...where, "--rps", rps, "--jitter-ms", String(jitterMs), ...faultless, ...pictures];
  const simulator = startAvatars(args, {}, promptOptions);
  if (settings.isForPictures !== true) prefer(simulator.pid);
  const url = await until(
    () => {
      simulator.assertAlive();
      return /http:\/\/[\d.]+:\d+/.exec(simulator.printed())?.[0].replace("0.0.0.0", "127.0.0.1");
    },
    { what: "the simulator's start", signal },
  ).catch(async (error: unknown) => {
    await simulator.kill();
    throw error;
  });
  const order = async (verb: string, path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${url}/__control${path}`, {
      method: verb,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(controlTimeoutMs),
    });
    if (!response.ok) throw new Error(`${verb} ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    ...simulator,
    url,
    clear: async () => void (await order("DELETE", "/log")),
    stats: async () => (await order("GET", "/stats")) as SimulatorStats,
    readCallsFor: async (chatId) =>
      (await order("GET", `/log?chatId=${encodeURIComponent(chatId)}`)) as LoggedCall[],
    readCalls: async () => (await order("GET", `/log?method=getAvatar&limit=${mostCalls}`)) as LoggedCall[],
    setRate: async (requestsPerSecond) => void (await order("PUT", "/rate", { requestsPerSecond })),
    setLatency: async (latency) => void (await order("PUT", "/latency", latency)),
    setPictures: async (tuning) => void (await order("PUT", "/pictures", tuning)),
    setPictureFaults: async (faults) => void (await order("PUT", "/picture-faults", { faults })),
  };
}

import { setTimeout as sleep } from "node:timers/promises";
import type { Closer } from "../../src/lib/closing/closer.ts";
import { startAvatars, until, type BenchProcess } from "../processes.ts";
import type { Bench } from "../run-bench.ts";
import { enqueueImport, toInstanceIds, type Backend, type Scene, type Servers } from "../servers.ts";
import { startBenchSimulator, type BenchSimulator } from "../simulator.ts";

export interface StageOptions {
  readonly servers: Servers;
  readonly backend: Backend;
  readonly instances: number;
  readonly bench: Bench;
}

/** Two workers that work all instances off at their rate, at a simulator that enforces it. */
export interface Stage {
  readonly simulator: BenchSimulator;
  readonly scene: Scene;
  readonly workers: readonly BenchProcess[];
  /** Fails when a worker that is to live has ended. */
  wait(seconds: number, living?: readonly BenchProcess[]): Promise<void>;
}

export const requestsPerSecond = 10;
export const workers = 2;
const warmUpSeconds = 12;

/**
 * Opens it, and resolves when it has run for a while.
 * @param contactsSeconds for how long each instance has contacts, from its first call on
 * @param env what else the workers are told
 */
export async function openStage(
  { servers, backend, instances, bench }: StageOptions,
  closer: Closer,
  contactsSeconds: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Stage> {
  const { signal } = bench;
  const simulator = await startBenchSimulator(0, signal);
  closer.add("simulator", () => simulator.kill());
  const instanceIds = toInstanceIds(instances);
  const scene = await servers.openScene({ backend, instanceIds, apiUrl: simulator.url });
  closer.add("scene", () => scene.close());
  for (const id of instanceIds)
    await enqueueImport(scene.client, id, (warmUpSeconds + contactsSeconds) * requestsPerSecond);
  await servers.checkpoint();
  const started = Array.from({ length: workers }, () => {
    const worker = startAvatars(["worker"], { ...scene.env, ...env, AVATARS_IMAGES: "off" });
    closer.add("worker", () => worker.kill());
    return worker;
  });
  const stage: Stage = {
    simulator,
    scene,
    workers: started,
    async wait(seconds, living = started) {
      await sleep(seconds * 1000, undefined, { signal });
      for (const process of [...living, simulator]) process.assertAlive();
    },
  };
  await until(async () => Object.keys((await simulator.stats()).instances).length >= instances || undefined, {
    what: "a first call for each instance",
    signal,
  });
  await stage.wait(warmUpSeconds);
  return stage;
}

/** Now, by the clock of the simulator's log. */
export function readNowMs(): number {
  return performance.timeOrigin + performance.now();
}

import { setTimeout as sleep } from "node:timers/promises";
import { readCosts, toCostsPerContact, type Costs } from "../costs.ts";
import { startAvatars } from "../processes.ts";
import { startProvider } from "../provider/start-provider.ts";
import { withCloser, type Bench } from "../run-bench.ts";
import { enqueueImport, toInstanceIds, type Backend, type Servers } from "../servers.ts";
import { startBeside, type Dumper } from "./beside.ts";
import type { BesideName, HorizonFigures } from "./figures.ts";

export interface HorizonOptions {
  readonly servers: Servers;
  readonly backend: Backend;
  readonly contacts: number;
  readonly requestsPerSecond: number;
  readonly dumper: Dumper;
  readonly bench: Bench;
}

const quarters = 4;
const warmUpSeconds = 8;
/** The contacts never run out: what is not there any more would be missing from the last quarter. */
const spareShare = 0.1;
const pollMs = 20;
const patienceMs = 60_000;

/** Works one instance's import off at its rate, while something goes on beside, from before its first call. */
export async function measureHorizon(name: BesideName, options: HorizonOptions): Promise<HorizonFigures> {
  const { servers, backend, contacts, requestsPerSecond, dumper, bench } = options;
  return withCloser(async (closer) => {
    const provider = await startProvider(closer, bench.signal);
    const [instanceId = ""] = toInstanceIds(1);
    const scene = await servers.openScene({ backend, instanceIds: [instanceId], apiUrl: provider.url });
    closer.add("scene", () => scene.close());
    const spare = warmUpSeconds * 2 * requestsPerSecond;
    await enqueueImport(scene.client, instanceId, Math.ceil(contacts * (1 + spareShare)) + spare);
    await servers.checkpoint();
    const beside = await startBeside({ name, databaseUrl: scene.env["DATABASE_URL"] ?? "", dumper, closer });
    const worker = startAvatars(["worker"], {
      ...scene.env,
      AVATARS_REQUESTS_PER_SECOND: String(requestsPerSecond),
    });
    closer.add("worker", () => worker.kill());

    const payers = { workers: [worker], servers };
    const waitFor = async (target: number): Promise<Reading> => {
      let last = -1;
      let giveUpAt = performance.now() + patienceMs;
      for (;;) {
        worker.assertAlive();
        beside.assertAlive();
        const calls = await provider.countCalls();
        if (calls >= target) return { calls, costs: readCosts(payers) };
        if (calls !== last) giveUpAt = performance.now() + patienceMs;
        if (performance.now() > giveUpAt) throw new Error(`the worker stands still after ${calls} calls`);
        last = calls;
        await sleep(pollMs, undefined, { signal: bench.signal });
      }
    };
    await waitFor(1);
    await sleep(warmUpSeconds * 1000, undefined, { signal: bench.signal });
    const readings = [await waitFor(1)];
    const from = readings[0]?.calls ?? 0;
    for (let quarter = 1; quarter <= quarters; quarter += 1)
      readings.push(await waitFor(from + (contacts * quarter) / quarters));
    return toFigures(name, readings, requestsPerSecond);
  });
}

interface Reading {
  readonly calls: number;
  readonly costs: Costs;
}

function toFigures(
  name: BesideName,
  readings: readonly Reading[],
  requestsPerSecond: number,
): HorizonFigures {
  const pairs = readings.slice(1).map((after, index) => [readings[index] ?? after, after] as const);
  const [first, last] = [readings[0], readings.at(-1)];
  const seconds = first && last ? (last.costs.atMs - first.costs.atMs) / 1000 : 0;
  const calls = first && last ? last.calls - first.calls : 0;
  return {
    name,
    quarters: pairs.map(([before, after]) =>
      toCostsPerContact(before.costs, after.costs, after.calls - before.calls),
    ),
    share: calls / (seconds * requestsPerSecond),
  };
}

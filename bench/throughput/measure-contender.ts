import { setTimeout as sleep } from "node:timers/promises";
import { readCosts, toCostsPerContact, type CostsPerContact } from "../costs.ts";
import { readPeakRssMb } from "../machine.ts";
import { startProvider } from "../provider/start-provider.ts";
import { withCloser, type Bench } from "../run-bench.ts";
import type { Servers } from "../servers.ts";
import type { Contender } from "./contender.ts";

export interface Round extends CostsPerContact {
  readonly peakRssMb: number;
}

export interface RoundOptions {
  readonly servers: Servers;
  readonly contacts: number;
  readonly bench: Bench;
}

/** So much of the work is done before costs are counted: starting and warming up is no part of them, and V8 compiles meanwhile. */
const warmUpShare = 1 / 6;
const pollMs = 20;
/** Without any progress. */
const patienceMs = 60_000;

/**
 * Lets one do all its work, from the first tenth to the last row, and checks what it has written.
 * @throws when a row is wrong or missing
 */
export async function measureContender(
  contender: Contender,
  { servers, contacts, bench }: RoundOptions,
): Promise<Round> {
  return withCloser(async (closer) => {
    const provider = await startProvider(closer, bench.signal);
    const prepared = await contender.prepare({ servers, providerUrl: provider.url, contacts, closer });
    await servers.checkpoint();
    const worker = prepared.start();
    closer.add("worker", () => worker.kill());
    const payers = { workers: [worker], servers };

    const watch = async (count: () => Promise<number>, isReached: (count: number) => boolean) => {
      let last = -1;
      let giveUpAt = performance.now() + patienceMs;
      for (;;) {
        worker.assertAlive();
        const now = await count();
        if (isReached(now)) return now;
        if (now !== last) giveUpAt = performance.now() + patienceMs;
        if (performance.now() > giveUpAt) throw new Error(`${contender.name} stands still at ${now}`);
        last = now;
        await sleep(pollMs, undefined, { signal: bench.signal });
      }
    };
    const atStart = await watch(provider.countCalls, (calls) => calls >= contacts * warmUpShare);
    const before = readCosts(payers);
    await watch(provider.countCalls, (calls) => calls >= contacts);
    await watch(prepared.countLeft, (left) => left === 0);
    const after = readCosts(payers);
    const peakRssMb = readPeakRssMb(worker.pid);

    const wrong = await prepared.countWrong();
    if (wrong > 0) throw new Error(`${contender.name}: ${wrong} of ${contacts} rows are wrong`);
    const calls = await provider.countCalls();
    if (calls > contacts) bench.note(`  ${contender.name} has made ${calls - contacts} calls twice`);
    return { ...toCostsPerContact(before, after, contacts - atStart), peakRssMb };
  });
}

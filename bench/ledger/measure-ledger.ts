import { setTimeout as sleep } from "node:timers/promises";
import { readCosts, toCostsPerContact, type CostsPerContact } from "../costs.ts";
import { startAvatars } from "../processes.ts";
import { startProvider } from "../provider/start-provider.ts";
import { fill } from "../resync/fill.ts";
import { withCloser, type Bench } from "../run-bench.ts";
import { enqueueImport, toInstanceIds, type Backend, type Scene, type Servers } from "../servers.ts";

/** `new`: all wait for their first lookup. `known`: all have had some, and a few, at random places, are asked for again. */
export const ledgerKinds = ["new", "known"] as const;
export type LedgerKind = (typeof ledgerKinds)[number];

export interface LedgerFigures extends CostsPerContact {
  readonly kind: LedgerKind;
  /** Contacts in the table. */
  readonly size: number;
}

export interface LedgerOptions {
  readonly servers: Servers;
  readonly backend: Backend;
  readonly seconds: number;
  readonly bench: Bench;
}

const instances = 10;
/** Of each instance. */
const requestsPerSecond = 100;
const warmUpSeconds = 5;
const spareSeconds = 10;
const patienceMs = 60_000;

/** What a contact costs at a steady rate, where the table has so many. */
export async function measureLedger(
  kind: LedgerKind,
  size: number,
  { servers, backend, seconds, bench }: LedgerOptions,
): Promise<LedgerFigures> {
  return withCloser(async (closer) => {
    const provider = await startProvider(closer, bench.signal);
    const instanceIds = toInstanceIds(instances);
    const scene = await servers.openScene({ backend, instanceIds, apiUrl: provider.url });
    closer.add("scene", () => scene.close());
    const needed = (warmUpSeconds + seconds + spareSeconds) * requestsPerSecond;
    if (kind === "new") await fillNew(scene, instanceIds, size);
    else await fillKnown(scene, instanceIds, size, needed);
    await scene.client.query("vacuum (analyze) avatars.contacts");
    await servers.checkpoint();

    const worker = startAvatars(["worker"], {
      ...scene.env,
      AVATARS_REQUESTS_PER_SECOND: String(requestsPerSecond),
    });
    closer.add("worker", () => worker.kill());
    const payers = { workers: [worker], servers };
    const giveUpAt = performance.now() + patienceMs;
    while ((await provider.countCalls()) < instances * requestsPerSecond) {
      worker.assertAlive();
      if (performance.now() > giveUpAt) throw new Error("the worker does not get going");
      await sleep(100, undefined, { signal: bench.signal });
    }
    await sleep(warmUpSeconds * 1000, undefined, { signal: bench.signal });
    const [from, before] = [await provider.countCalls(), readCosts(payers)];
    await sleep(seconds * 1000, undefined, { signal: bench.signal });
    const [to, after] = [await provider.countCalls(), readCosts(payers)];
    worker.assertAlive();
    return { kind, size, ...toCostsPerContact(before, after, to - from) };
  });
}

async function fillNew({ client }: Scene, instanceIds: readonly string[], size: number): Promise<void> {
  for (const id of instanceIds) await enqueueImport(client, id, Math.ceil(size / instanceIds.length));
}

async function fillKnown(
  { client, env }: Scene,
  instanceIds: readonly string[],
  size: number,
  asked: number,
): Promise<void> {
  await fill({ url: env["DATABASE_URL"] ?? "", contacts: size, instanceIds });
  for (const id of instanceIds) {
    await client.query(
      `select avatars.enqueue($1, array(
         select chat_id from avatars.contacts where instance_id = $1 order by random() limit $2
       ), max_age => interval '0')`,
      [id, asked],
    );
  }
}

/** Calls a second of all instances. */
export const totalRate = instances * requestsPerSecond;

import { fileURLToPath } from "node:url";
import type { Closer } from "../../src/lib/closing/closer.ts";
import { startApi } from "../api.ts";
import { readPeakRssMb } from "../machine.ts";
import { startAvatars, startNode, until } from "../processes.ts";
import type { Bench } from "../run-bench.ts";
import type { Servers } from "../servers.ts";
import { inTurnFor, measureLoad, once, type LoadFigures } from "./load.ts";
import { openImageStage, type ImageStage } from "./stage.ts";

export interface ServingFigures {
  readonly name: string;
  readonly load: LoadFigures;
}

export interface Serving {
  readonly figures: readonly ServingFigures[];
  /** Requests a second for one stored original, in relation to those of `@fastify/static` for the same file. */
  readonly share: number;
  readonly originalBytes: number;
  readonly peakRssMb: number;
}

export interface ServingOptions {
  readonly contacts: number;
  /** Of each load. */
  readonly seconds: number;
  /** Of ours and `@fastify/static` by turns. */
  readonly rounds: number;
}

const connections = 32;
const size = 128;

interface Kept {
  readonly path: string;
  readonly hash: string;
  readonly bytes: number;
}

export async function measureServing(
  servers: Servers,
  { contacts, seconds, rounds }: ServingOptions,
  { signal, note }: Bench,
  closer: Closer,
): Promise<Serving> {
  const stage = await openImageStage(servers, { contacts, closer, signal });
  await takeAll(stage, signal);
  const api = await startApi("serve", { env: stage.env }, signal);
  closer.add("API", () => api.kill());
  const files = startNode("@fastify/static", [toProgram("static-server.js"), stage.folder], {});
  closer.add("@fastify/static", () => files.kill());
  const filesUrl = await until(
    () => {
      files.assertAlive();
      return /http:\/\/[\d.:]+/.exec(files.printed())?.[0];
    },
    { what: "@fastify/static", signal },
  );
  const kept = await findKept(stage);
  const usual = pickMedian(kept);
  const ask = async (process: { readonly pid: number }, origin: string, next: () => string | undefined) =>
    measureLoad({ origin, pid: process.pid, connections, signal, next });

  const figures: ServingFigures[] = [];
  const add = (name: string, load: LoadFigures) => {
    figures.push({ name, load });
    note(`  ${name}: ${load.perSecond.toFixed(0)} a second, ${load.cpuMs.toFixed(2)} ms of CPU each`);
    return load.perSecond;
  };
  const file = `/${usual.hash.slice(0, 2)}/${usual.hash.slice(2, 4)}/${usual.hash}`;
  const [ours, theirs]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    const byStatic = await ask(files, filesUrl, inTurnFor([file], seconds));
    const original = await ask(api, api.url, inTurnFor([usual.path], seconds));
    // The first round warms both up.
    if (round === 0) continue;
    theirs.push(add("one file, by @fastify/static", byStatic));
    ours.push(add("one original", original));
  }
  const paths = kept.map(({ path }) => path);
  add("all originals in turn", await ask(api, api.url, inTurnFor(paths, seconds)));
  const sized = paths.map((path) => `${path}?size=${size}`);
  add(`all in size ${size}, cold`, await ask(api, api.url, once(sized)));
  add(`all in size ${size}, warm`, await ask(api, api.url, inTurnFor(sized, seconds)));
  return {
    figures,
    share: mean(ours) / mean(theirs),
    originalBytes: usual.bytes,
    peakRssMb: readPeakRssMb(api.pid),
  };
}

async function takeAll({ env, scene, pictures }: ImageStage, signal: AbortSignal): Promise<void> {
  const worker = startAvatars(["worker"], env);
  try {
    await until(
      async () => {
        worker.assertAlive();
        const { rows } = await scene.client.query<{ taken: number }>(
          "select count(*)::int as taken from avatars.avatars where image_sha256 is not null",
        );
        return (rows[0]?.taken ?? 0) >= pictures || undefined;
      },
      { what: "all images", signal, timeoutMs: 300_000 },
    );
  } finally {
    await worker.kill();
  }
}

async function findKept({ scene }: ImageStage): Promise<Kept[]> {
  const { rows } = await scene.client.query<Kept>(
    `select '/i/' || avatars.image_token(a.contact_id, n.image_key_inner, n.image_key_outer) as path,
       encode(i.sha256, 'hex') as hash, i.bytes
     from avatars.avatars a join avatars.images i on i.sha256 = a.image_sha256 cross join avatars.installation n
     order by i.bytes`,
  );
  return rows;
}

function pickMedian(kept: readonly Kept[]): Kept {
  const median = kept[kept.length >> 1];
  if (median === undefined) throw new Error("no image was taken");
  return median;
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
}

function toProgram(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

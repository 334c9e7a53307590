import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Closer } from "../../src/lib/closing/closer.ts";
import { makeJpegOfSize } from "../../test/support/image-samples.ts";
import { readCpuMs, readCpuMsWithChildren, readPeakRssMb } from "../machine.ts";
import { startAvatars, until } from "../processes.ts";
import type { Bench } from "../run-bench.ts";
import type { Servers } from "../servers.ts";
import { openImageStage, type ImageStage } from "./stage.ts";

/** What one row takes, and from whom. */
export interface TakingRow {
  readonly name: string;
  readonly contacts: number;
  /** The median time until a picture begins to arrive. */
  readonly latencyMs: number;
  /** The share of each outcome of a picture, by name. */
  readonly faults: Readonly<Record<string, number>>;
  /** Each picture is a JPEG of so many bytes, from a server of its own. */
  readonly bytes?: number;
}

export interface TakingFigures {
  readonly row: TakingRow;
  readonly taken: number;
  readonly refused: number;
  /** To be tried again later. */
  readonly failed: number;
  readonly seconds: number;
  /** Of the worker, for each image that was tried. */
  readonly cpuMs: number;
  /** Of Postgres, likewise. */
  readonly postgresCpuMs: number;
  readonly peakInFlight: number;
  /** At any time since the worker's start. */
  readonly peakRssMb: number;
}

/** So many are fetched at a time: more than usual, for it is the memory that is looked at. */
export const inFlight = 50;

const mebibyte = 1_048_576;

/** The hostile ones try each way in which a server can fill memory. */
export const takingRows: readonly TakingRow[] = [
  { name: "as usual", contacts: 3_000, latencyMs: 20, faults: {} },
  { name: "from slow hosts", contacts: 1_500, latencyMs: 1_000, faults: {} },
  {
    name: "100 MiB each, unannounced",
    contacts: 600,
    latencyMs: 300,
    faults: { "huge-unannounced": 1 },
  },
  {
    name: "of all hostile kinds",
    contacts: 900,
    latencyMs: 300,
    faults: {
      huge: 0.2,
      "huge-unannounced": 0.2,
      "gzip-bomb": 0.15,
      "giant-pixels": 0.15,
      slow: 0.1,
      cut: 0.1,
      "html-as-jpeg": 0.1,
    },
  },
  {
    name: "5 MiB each, the largest that are taken",
    contacts: 300,
    latencyMs: 300,
    faults: {},
    bytes: 5 * mebibyte,
  },
];

interface Counts {
  readonly all: number;
  readonly taken: number;
  readonly refused: number;
  readonly failed: number;
}

/** Starts a worker that keeps images where none were kept so far, and waits until each was tried. */
export async function measureTaking(
  servers: Servers,
  row: TakingRow,
  bench: Bench,
  closer: Closer,
): Promise<TakingFigures> {
  const { signal } = bench;
  const stage = await openImageStage(servers, { contacts: row.contacts, closer, signal });
  const { simulator, scene } = stage;
  await simulator.setPictures({ pictureLatencyMs: row.latencyMs, dripMs: 50 });
  await simulator.setPictureFaults(row.faults);
  await simulator.clear();
  const server =
    row.bytes === undefined ? undefined : await serveLarge(row.bytes, row.latencyMs, stage, closer);
  const named = [stage.env["AVATARS_IMAGE_HOSTS"], ...(server?.hosts ?? [])].join(",");
  const settings = { AVATARS_IMAGE_HOSTS: named, AVATARS_IMAGES_IN_FLIGHT: String(inFlight) };
  const worker = startAvatars(["worker"], { ...stage.env, ...settings });
  closer.add("worker", () => worker.kill());
  const countRequests = async () => server?.requests() ?? (await simulator.stats()).pictures.requests;
  await until(async () => (await countRequests()) > 0 || undefined, { what: "the first picture", signal });
  const readCosts = () => ({
    atMs: performance.now(),
    workerMs: readCpuMs(worker.pid),
    postgresMs: servers.postgres.pid === undefined ? 0 : readCpuMsWithChildren(servers.postgres.pid),
  });
  const [before, seenBefore] = [readCosts(), await countTried(stage)];
  const counts = await until(
    async () => {
      worker.assertAlive();
      const counted = await countTried(stage);
      return counted.taken + counted.refused + counted.failed >= counted.all ? counted : undefined;
    },
    { what: `a try of each image (${row.name})`, signal, timeoutMs: 300_000 },
  );
  const after = readCosts();
  const { taken, refused, failed } = counts;
  const tried = taken + refused + failed - seenBefore.taken - seenBefore.refused - seenBefore.failed;
  const peakInFlight = server?.peakInFlight() ?? (await simulator.stats()).pictures.peakInFlight;
  await scene.client.query("select 1");
  return {
    row,
    taken,
    refused,
    failed,
    seconds: (after.atMs - before.atMs) / 1000,
    cpuMs: (after.workerMs - before.workerMs) / tried,
    postgresCpuMs: (after.postgresMs - before.postgresMs) / tried,
    peakInFlight,
    peakRssMb: readPeakRssMb(worker.pid),
  };
}

async function countTried({ scene }: ImageStage): Promise<Counts> {
  const { rows } = await scene.client.query<Counts>(
    `select count(*)::int as all,
       count(*) filter (where image_sha256 is not null)::int as taken,
       count(*) filter (where image_sha256 is null and image_error is not null and image_wanted_at is null)::int as refused,
       count(*) filter (where image_sha256 is null and image_attempts > 0 and image_wanted_at is not null)::int as failed
     from avatars.avatars where version is not null`,
  );
  return rows[0] ?? { all: 0, taken: 0, refused: 0, failed: 0 };
}

interface LargeServer {
  readonly hosts: readonly string[];
  requests(): number;
  peakInFlight(): number;
}

/** Serves one JPEG of this size under each path, and has all rows lead there, by as many hosts as before. */
async function serveLarge(
  bytes: number,
  latencyMs: number,
  { scene }: ImageStage,
  closer: Closer,
): Promise<LargeServer> {
  const body = makeJpegOfSize(bytes);
  const seen = { requests: 0, inFlight: 0, peak: 0 };
  const server = createServer((_request, response) => {
    seen.requests += 1;
    seen.inFlight += 1;
    seen.peak = Math.max(seen.peak, seen.inFlight);
    response.once("close", () => void (seen.inFlight -= 1));
    setTimeout(() => {
      response.writeHead(200, { "content-type": "image/jpeg", "content-length": body.length });
      response.end(body);
    }, latencyMs);
  });
  server.listen(0, "0.0.0.0");
  await once(server, "listening");
  closer.add("server of large pictures", () => {
    server.close();
    server.closeAllConnections();
  });
  const { port } = server.address() as AddressInfo;
  await scene.client.query(
    "update avatars.avatars set url = regexp_replace(url, '^(http://[0-9.]+):[0-9]+', '\\1:' || $1) where url is not null",
    [String(port)],
  );
  const { rows } = await scene.client.query<{ host: string }>(
    "select distinct substring(url from '^http://([0-9.:]+)') as host from avatars.avatars where url is not null",
  );
  return {
    hosts: rows.map(({ host }) => host),
    requests: () => seen.requests,
    peakInFlight: () => seen.peak,
  };
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Closer } from "../../src/lib/closing/closer.ts";
import { startAvatars, until } from "../processes.ts";
import { enqueueImport, toInstanceIds, type Scene, type Servers } from "../servers.ts";
import { startBenchSimulator, type BenchSimulator } from "../simulator.ts";

/** Contacts that have been asked, with the URLs of their pictures, and no image yet. */
export interface ImageStage {
  readonly simulator: BenchSimulator;
  readonly scene: Scene;
  /** The settings of processes that keep images. */
  readonly env: Readonly<Record<string, string>>;
  /** Where they are kept. */
  readonly folder: string;
  /** Contacts that have a picture. */
  readonly pictures: number;
}

/** Pictures come from so many hosts: how many may be fetched at a time is limited for each of them. */
const hosts = 8;
/** Of each instance: the contacts are not what is measured here. */
const requestsPerSecond = 150;

/** @param contacts about 64 % of them have a picture */
export async function openImageStage(
  servers: Servers,
  {
    contacts,
    closer,
    signal,
  }: { readonly contacts: number; readonly closer: Closer; readonly signal: AbortSignal },
): Promise<ImageStage> {
  const simulator = await startBenchSimulator(0, signal, {
    requestsPerSecond: 2 * requestsPerSecond,
    latencyMs: 5,
    isEverywhere: true,
  });
  closer.add("simulator", () => simulator.kill());
  const { port } = new URL(simulator.url);
  // Linux has all of 127.0.0.0/8 on its loopback.
  const names = Array.from({ length: hosts }, (_none, index) => `127.0.0.${index + 1}:${port}`);
  const instanceIds = toInstanceIds(hosts);
  const apiUrl = names.map((name) => `http://${name}`);
  const scene = await servers.openScene({ backend: "postgres", instanceIds, apiUrl });
  closer.add("scene", () => scene.close());
  const folder = await mkdtemp(join(tmpdir(), "contact-avatars-images-"));
  closer.add("folder", () => rm(folder, { recursive: true, force: true }));
  for (const id of instanceIds) await enqueueImport(scene.client, id, Math.ceil(contacts / hosts));
  await askForAll(scene, signal);
  const { rows } = await scene.client.query<{ pictures: number }>(
    "select count(*)::int as pictures from avatars.avatars where version is not null",
  );
  const env = { ...scene.env, AVATARS_IMAGES: folder, AVATARS_IMAGE_HOSTS: names.join(",") };
  return { simulator, scene, env, folder, pictures: rows[0]?.pictures ?? 0 };
}

/** By a worker that keeps no images: their URLs are all that it leaves. */
async function askForAll({ client, env }: Scene, signal: AbortSignal): Promise<void> {
  const settings = { AVATARS_IMAGES: "off", AVATARS_REQUESTS_PER_SECOND: String(requestsPerSecond) };
  const worker = startAvatars(["worker"], { ...env, ...settings });
  try {
    await until(
      async () => {
        worker.assertAlive();
        const { rows } = await client.query("select from avatars.contacts where status = 'unknown' limit 1");
        return rows.length === 0 || undefined;
      },
      { what: "the answers about all contacts", signal, timeoutMs: 300_000 },
    );
  } finally {
    await worker.kill();
  }
}

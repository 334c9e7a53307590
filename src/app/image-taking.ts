import type { HostPort } from "../domain/host-port.ts";
import type { ImageFacts } from "../domain/images/image.ts";
import type { LookupRecord } from "../domain/ledger/lookup-record.ts";
import { listKeysOfHash, toBlobKey } from "../images/blobs/blob-key.ts";
import type { BlobStore } from "../images/blobs/blob-store.ts";
import type { ImageTaker } from "../images/take/create-image-taker.ts";
import type { ImageWish } from "../images/take/waiting-images.ts";
import type { BackgroundTask } from "../lib/start-tasks.ts";
import { claimWantedImages } from "../store/images/claim-wanted-images.ts";
import { removeUnusedImages } from "../store/images/remove-unused-images.ts";
import { settleImages } from "../store/images/settle-images.ts";
import { wantMissingImages } from "../store/images/want-images.ts";
import type { Base } from "./base.ts";
import type { Images } from "./images.ts";

/** What is overdue in Postgres is looked for so often. */
const takeOnEveryMs = 1_000;
/** An erased image is gone after this and the time that its removal takes. */
const removeEveryMs = 60_000;
/** Each step of the walk that wants what was never wanted. */
const wantEveryMs = 2_000;

/** Images are taken beside the calls of a worker. */
export interface ImageTaking {
  /** Answers that were saved and whose images are to be taken. */
  readonly offer: (records: readonly LookupRecord[]) => void;
  readonly tasks: readonly BackgroundTask[];
  /** Begins nothing new, waits for what is under way, and closes the connections. */
  readonly stop: (graceMs: number) => Promise<void>;
}

/**
 * Opens what takes images; what it needs is loaded only now.
 * @param hosts that images may be taken from, beside those of the settings
 */
export async function openImageTaking(
  base: Base,
  { blobs }: Images,
  hosts: readonly HostPort[],
): Promise<ImageTaking> {
  const { config, database, events } = base;
  const { pool } = database;
  const [{ createImageFetcher }, { createFetchLimits }, { createImageTaker }] = await Promise.all([
    import("../images/fetch/image-fetcher.ts"),
    import("../images/fetch/create-fetch-limits.ts"),
    import("../images/take/create-image-taker.ts"),
  ]);
  const fetcher = createImageFetcher({
    named: [...config.imageHosts, ...hosts],
    connectionsPerOrigin: config.imageFetch.perHost,
  });
  const gate = createFetchLimits(config.imageFetch, performance);
  const taker = createImageTaker({
    gate,
    fetchImage: async (url, place) => fetcher.fetchImage(url, { onBytes: gate.spend, place }),
    putBytes: async ({ sha256, type }, bytes) => blobs.put(toBlobKey(sha256.toString("hex")), bytes, type),
    isStored: async (image) => isStored(blobs, image),
    claim: async (limit) => claimWantedImages(pool, limit),
    async settle(settled, ensureStored) {
      events.imagesSettled(await settleImages(pool, settled, ensureStored));
    },
    now: () => new Date(),
    random: Math.random,
    events,
  });
  return {
    offer: (records) => taker.offer(records.flatMap(toWishes)),
    tasks: listTasks(base, blobs, taker),
    async stop(graceMs) {
      await taker.stop(graceMs);
      await fetcher.close();
    },
  };
}

async function isStored(blobs: BlobStore, { sha256, bytes }: ImageFacts): Promise<boolean> {
  return (await blobs.has(toBlobKey(sha256.toString("hex"))))?.size === bytes;
}

function toWishes({ contactId, decision }: LookupRecord): ImageWish[] {
  if (decision.kind !== "answer" || decision.avatar.kind !== "seen") return [];
  const { url, base64, urlExpiresAt, version } = decision.avatar;
  return [{ contactId, version, url: url === base64 ? undefined : url, urlExpiresAt, base64, attempts: 0 }];
}

/** Takes what is overdue; wants what was never wanted, once per process; removes what no contact shows. */
function listTasks(
  { config, database, events }: Base,
  blobs: BlobStore,
  taker: ImageTaker,
): BackgroundTask[] {
  const { pool } = database;
  const removeBytes = async (sha256: Buffer) => blobs.remove(listKeysOfHash(sha256.toString("hex")));
  let walkedTo: number | undefined = 0;
  return [
    { name: "take images", everyMs: takeOnEveryMs, run: taker.takeOn },
    {
      name: "want images",
      everyMs: wantEveryMs,
      async run() {
        if (walkedTo === undefined) return;
        walkedTo = (await wantMissingImages(pool, walkedTo)).lastId;
      },
    },
    {
      name: "remove images",
      everyMs: removeEveryMs,
      async run() {
        const ports = { removeBytes, keepsHistory: config.keepImages === "history" };
        const removed = await removeUnusedImages(pool, ports, AbortSignal.timeout(removeEveryMs * 5));
        if (removed > 0) events.imagesRemoved({ images: removed });
      },
    },
  ];
}

import { putOriginalsFirst, type BlobKey } from "./blob-key.ts";
import { assertFits, maxBlobBytes } from "./blob-bytes.ts";
import type { BlobEntry, BlobStore } from "./blob-store.ts";
import type { S3Setting } from "./parse-images-setting.ts";
import { readS3Code, toS3Error } from "./s3-error.ts";
import { createS3Exchange, showBucket, type S3Call, type S3Patience, type S3Reply } from "./s3-exchange.ts";
import { keepsVersions, parseS3Page } from "./s3-listing.ts";

const usualPatience: S3Patience = { attemptMs: 15_000, attempts: 3, retryBaseMs: 300, random: Math.random };

/** Removals at a time: each key by itself, since not all services know how to delete several. */
const removalsAtOnce = 16;

/**
 * Images in a bucket of Amazon S3, or of a service that speaks like it. A put is whole or nothing by S3's own promise. Nothing is
 * asked of the service before the first call: `check` does.
 * @param patience for each call, all attempts: at most `attempts × attemptMs` and the waits between
 */
export function openS3Blobs(setting: S3Setting, patience: Partial<S3Patience> = {}): BlobStore {
  const exchange = createS3Exchange(setting, { ...usualPatience, ...patience }, maxBlobBytes);
  const start = setting.prefix === "" ? "" : `${setting.prefix}/`;
  const shown = showBucket(setting);

  /** An answer with one of these statuses. */
  async function send(call: S3Call, ...expected: readonly number[]): Promise<S3Reply> {
    const reply = await exchange.send({ ...call, key: call.key === "" ? "" : start + call.key });
    if (expected.includes(reply.status)) return reply;
    throw toS3Error(reply, shown);
  }

  /** Undefined: there is no such key. The bucket may be what is missing. */
  async function find(method: "GET" | "HEAD", key: BlobKey): Promise<S3Reply | undefined> {
    const reply = await send({ method, key }, 200, 404);
    if (reply.status === 200) return reply;
    if (readS3Code(reply.body) === "NoSuchBucket") throw toS3Error(reply, shown);
    return undefined;
  }

  const remove = (key: string) => send({ method: "DELETE", key }, 200, 204, 404);

  async function removeAll(keys: readonly BlobKey[]): Promise<void> {
    for (let from = 0; from < keys.length; from += removalsAtOnce) {
      await Promise.all(keys.slice(from, from + removalsAtOnce).map(remove));
    }
  }

  async function readPage(token: string | undefined) {
    const query = {
      "list-type": "2",
      prefix: start,
      "max-keys": "1000",
      ...(token !== undefined && { "continuation-token": token }),
    };
    const { body } = await send({ method: "GET", key: "", query }, 200);
    return parseS3Page(body, start, shown);
  }

  return {
    async put(key, bytes, type) {
      assertFits(bytes);
      await send({ method: "PUT", key, body: bytes, type }, 200);
    },
    async get(key) {
      const reply = await find("GET", key);
      return reply && { bytes: reply.body, size: reply.body.length };
    },
    async has(key) {
      const reply = await find("HEAD", key);
      return reply && { size: reply.size ?? 0 };
    },
    async remove(keys) {
      const { originals, sizes } = putOriginalsFirst(keys);
      await removeAll(originals);
      await removeAll(sizes);
    },
    async *list(): AsyncGenerator<BlobEntry> {
      let token: string | undefined;
      do {
        const page = await readPage(token);
        yield* page.entries;
        token = page.next;
      } while (token !== undefined);
    },
    describe: () =>
      `images are kept in s3://${setting.bucket}/${start}, ${setting.endpoint ?? `Amazon S3 in ${setting.region}`}`,
    async check() {
      const body = Buffer.from("written to see that it can be");
      await send({ method: "PUT", key: "write-probe", body, type: "text/plain" }, 200);
      await remove("write-probe");
      await readPage(undefined);
      const versioning = await exchange.send({ method: "GET", key: "", query: { versioning: "" } });
      if (versioning.status === 403) {
        return [`whether ${shown} keeps old versions cannot be told: allow s3:GetBucketVersioning`];
      }
      if (versioning.status !== 200 || !keepsVersions(versioning.body)) return [];
      return [
        `${shown} keeps versions: images that are erased stay in them until a lifecycle rule of the bucket removes them`,
      ];
    },
    close: () => exchange.close(),
  };
}

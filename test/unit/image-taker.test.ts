import { createHash } from "node:crypto";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { parseHostPorts } from "../../src/domain/host-port.ts";
import type { SettledImage } from "../../src/domain/images/image-taking.ts";
import { usualBodyBytes } from "../../src/images/fetch/body-room.ts";
import { createFetchLimits } from "../../src/images/fetch/create-fetch-limits.ts";
import { createImageFetcher } from "../../src/images/fetch/image-fetcher.ts";
import { maxImageBytes } from "../../src/images/image.ts";
import { createImageTaker } from "../../src/images/take/create-image-taker.ts";
import type { ImageWish } from "../../src/images/take/waiting-images.ts";
import { eventually } from "../support/eventually.ts";
import { makeJpegOfSize } from "../support/image-samples.ts";

const mebibyte = 1_048_576;
/** More than have a place at a time. */
const largeOnes = 12;

interface Host {
  readonly url: string;
  /** Requests by path. */
  readonly requests: Map<string, number>;
}

/** Answers each path as it is told. */
async function openHost(answer: (path: string, response: ServerResponse) => void): Promise<Host> {
  const requests = new Map<string, number>();
  const server = createServer(({ url = "" }, response) => {
    requests.set(url, (requests.get(url) ?? 0) + 1);
    answer(url, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

/** Takes from this host, into memory. What is put is hashed again when its row is written: it must be what it was. */
const toHash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const isHuge = ({ wanted }: SettledImage) => wanted.contactId < 100;

function openTaker({ url }: Host) {
  const settled: SettledImage[] = [];
  const blobs = new Map<string, string>();
  const named = parseHostPorts(new URL(url).host);
  if (!named.ok) throw new Error(named.expected);
  const fetcher = createImageFetcher({ named: named.value, connectionsPerOrigin: 50 });
  const limits = { inFlight: 50, perHost: 50, bytesPerSecond: 10_000_000_000 };
  const taker = createImageTaker({
    gate: createFetchLimits(limits, performance),
    fetchImage: async (target, place) => fetcher.fetchImage(target, { place }),
    putBytes: async ({ sha256 }, bytes) => void blobs.set(sha256.toString("hex"), toHash(bytes)),
    isStored: async () => false,
    claim: async () => [],
    async settle(rows, ensureStored) {
      const taken = rows.flatMap(({ settlement }) => (settlement.kind === "taken" ? [settlement.image] : []));
      await ensureStored(taken);
      settled.push(...rows);
    },
    now: () => new Date(),
    random: Math.random,
    events: { imageTried: () => undefined, imageDelayed: () => undefined },
  });
  onTestFinished(async () => {
    await taker.stop(1_000);
    await fetcher.close();
  });
  const wish = (contactId: number, path: string): ImageWish => ({
    contactId,
    version: path,
    url: url + path,
    urlExpiresAt: undefined,
    attempts: 0,
    base64: undefined,
  });
  return { taker, settled, blobs, wish };
}

const numbers = (count: number) => Array.from({ length: count }, (_none, at) => at);
const kindsOf = (settled: readonly SettledImage[]) => settled.map(({ settlement: { kind } }) => kind);

/** One after the other: each is another image. */
const toLargeJpeg = (path: string) => makeJpegOfSize(mebibyte + Number(path.slice("/large-".length)));

describe.each([
  [
    "announced",
    (response: ServerResponse, body: Buffer) => response.setHeader("content-length", body.length),
  ],
  ["unannounced", (response: ServerResponse) => response.setHeader("transfer-encoding", "chunked")],
])("large images whose length is %s", (_name, setLength) => {
  test("are all taken, though few have a place at a time, each byte as it was", async () => {
    const host = await openHost((path, response) => {
      const body = toLargeJpeg(path);
      setLength(response, body);
      response.end(body);
    });
    const { taker, settled, blobs, wish } = openTaker(host);
    taker.offer(numbers(largeOnes).map((at) => wish(at, `/large-${at}`)));
    await eventually(() => expect(settled).toHaveLength(largeOnes));
    expect(new Set(kindsOf(settled))).toEqual(new Set(["taken"]));
    expect(blobs.size).toBe(largeOnes);
    for (const [hash, seen] of blobs) expect(seen).toBe(hash);
    // Those that had no place were begun once more, when they had one.
    expect(Math.max(...host.requests.values())).toBeLessThanOrEqual(2);
  });
});

test("usual images are taken while large ones hang, and wait behind none of them", async () => {
  const usual = makeJpegOfSize(usualBodyBytes);
  const hanging: ServerResponse[] = [];
  const host = await openHost((path, response) => {
    if (path.startsWith("/usual")) return void response.end(usual);
    response.write(Buffer.alloc(2 * usualBodyBytes));
    hanging.push(response);
  });
  const { taker, settled, wish } = openTaker(host);
  taker.offer(numbers(100).map((at) => wish(at, `/hanging-${at}`)));
  await eventually(() => expect(hanging.length).toBeGreaterThan(largeOnes));
  taker.offer(numbers(200).map((at) => wish(1_000 + at, `/usual-${at}`)));
  await eventually(() => expect(settled.filter(({ wanted }) => wanted.contactId >= 1_000)).toHaveLength(200));
  for (const response of hanging) response.destroy();
});

test("what is larger than any image is refused, and leaves its place to others", async () => {
  const host = await openHost((path, response) => {
    if (path.startsWith("/large")) return void response.end(toLargeJpeg(path));
    response.write(Buffer.alloc(maxImageBytes));
    response.end(Buffer.alloc(mebibyte));
  });
  const { taker, settled, wish } = openTaker(host);
  taker.offer(numbers(largeOnes).map((at) => wish(at, `/huge-${at}`)));
  taker.offer(numbers(largeOnes).map((at) => wish(100 + at, `/large-${at}`)));
  await eventually(() => expect(settled).toHaveLength(2 * largeOnes));
  expect(settled.filter(isHuge).map(({ settlement }) => settlement)).toEqual(
    numbers(largeOnes).map(() => ({ kind: "refused", error: "too-large" })),
  );
  expect(kindsOf(settled.filter((one) => !isHuge(one)))).toEqual(numbers(largeOnes).map(() => "taken"));
});

import { once } from "node:events";
import { createServer as createTlsServer } from "node:https";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseHostPorts } from "../../src/domain/host-port.ts";
import { createBodyRoom, usualBodyBytes } from "../../src/images/fetch/body-room.ts";
import type { FetchOutcome } from "../../src/images/fetch/fetch-outcome.ts";
import {
  createImageFetcher,
  type FetchOptions,
  type ImageFetcherOptions,
} from "../../src/images/fetch/image-fetcher.ts";
import { maxImageBytes } from "../../src/images/image.ts";
import { eventually } from "../support/eventually.ts";
import {
  cutOff,
  openFlawedServer,
  saySilence,
  type FlawedServer,
  type Reply,
} from "../support/flawed-server.ts";
import { hostileAnswers, hostileRedirects, hostileUrls } from "../support/hostile-addresses.ts";
import { loopbackCertificate, loopbackKey } from "../support/loopback-certificate.ts";
import { makeJpegOfSize, readSample } from "../support/image-samples.ts";

/** In the query of each URL, and in what servers say: none of it may come back in an outcome. */
const signature = "oh=01_Q5AaSIGNATURE";
const foreignText = "FOREIGN-TEXT";
const jpeg = readSample("jpegBaseline");
const taken = { kind: "taken", bytes: jpeg, type: "image/jpeg", width: 16, height: 9 };
const refused = (reason: string) => ({ kind: "refused", reason });
const failed = (reason: string, code: unknown, retryAfterMs?: number) => ({
  kind: "failed",
  reason,
  code,
  retryAfterMs,
});

let server: FlawedServer;
beforeAll(async () => {
  server = await openFlawedServer();
});
afterAll(() => server.close());

const name = (text: string) => {
  const named = parseHostPorts(text);
  if (!named.ok) throw new Error(named.expected);
  return named.value;
};

function openFetcher(options: Partial<ImageFetcherOptions> = {}) {
  const fetcher = createImageFetcher({ named: name(new URL(server.url).host), ...options });
  onTestFinished(() => fetcher.close());
  return fetcher;
}

/** Fetches, and looks that the outcome tells nothing that came from outside. */
async function fetchFrom(
  base: string,
  { signal, onBytes, place, ...options }: Partial<ImageFetcherOptions> & FetchOptions = {},
): Promise<FetchOutcome> {
  const url = `${base}/v/1_n.jpg?${signature}`;
  const fetchOptions = { ...(signal && { signal }), ...(onBytes && { onBytes }), ...(place && { place }) };
  const outcome = await openFetcher(options).fetchImage(url, fetchOptions);
  const { bytes: _, ...told } = { bytes: undefined, ...outcome };
  for (const secret of ["SIGNATURE", foreignText, "127.0.0.1", "_n.jpg"])
    expect(JSON.stringify(told)).not.toContain(secret);
  return outcome;
}

async function fetchReply(reply: Reply, options: Partial<ImageFetcherOptions> & FetchOptions = {}) {
  server.script(reply);
  return fetchFrom(server.url, options);
}

const send =
  (status: number, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): Reply =>
  (response) =>
    void response.writeHead(status, headers).end(body);

/** A server of plain TCP, for what no HTTP server of Node would say. */
async function openRawServer(serve: (socket: Socket) => void): Promise<{ url: string; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const raw = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => undefined);
    socket.once("data", () => serve(socket));
  });
  return { url: await listen(raw), sockets };
}

async function listen(opened: Server): Promise<string> {
  opened.listen(0, "127.0.0.1");
  await once(opened, "listening");
  onTestFinished(() => void opened.close());
  return `http://127.0.0.1:${(opened.address() as AddressInfo).port}`;
}

const namedUrl = (url: string) => ({ named: name(new URL(url).host) });

describe("an image is taken", () => {
  test.each([
    ["with its length", send(200, jpeg, { "content-length": String(jpeg.length) })],
    ["in pieces", send(200, jpeg, { "transfer-encoding": "chunked" })],
    ["until the connection ends", send(200, jpeg, { connection: "close" })],
    ["whatever type its sender claims", send(200, jpeg, { "content-type": "text/html" })],
    ["with an encoding that is none", send(200, jpeg, { "content-encoding": "Identity" })],
  ])("%s", async (_, reply) => {
    expect(await fetchReply(reply)).toEqual(taken);
  });

  test("by a request that tells nothing of us", async () => {
    await fetchReply(send(200, jpeg));
    expect(server.requests).toEqual([
      {
        method: "GET",
        url: `/v/1_n.jpg?${signature}`,
        body: "",
        headers: {
          host: new URL(server.url).host,
          connection: "keep-alive",
          accept: "image/jpeg, image/png, image/webp",
          "accept-encoding": "identity",
          "user-agent": "contact-avatars",
        },
      },
    ]);
  });

  test("of 5 MiB, each byte of which is told as it comes", async () => {
    let count = 0;
    const body = makeJpegOfSize(maxImageBytes);
    const outcome = await fetchReply(send(200, body), { onBytes: (more) => (count += more) });
    expect(outcome.kind).toBe("taken");
    expect(count).toBe(maxImageBytes);
  });

  test("by TLS, from a server whose certificate is trusted", async () => {
    const tls = createTlsServer({ key: loopbackKey, cert: loopbackCertificate }, (_request, response) =>
      response.end(jpeg),
    );
    const url = (await listen(tls)).replace("http:", "https:");
    expect(await fetchFrom(url, { ...namedUrl(url), ca: loopbackCertificate })).toEqual(taken);
    expect(await fetchFrom(url, namedUrl(url))).toEqual(failed("connection", "DEPTH_ZERO_SELF_SIGNED_CERT"));
    const plain = url.replace("https:", "http:");
    expect(await fetchFrom(plain, namedUrl(plain))).toMatchObject({ kind: "failed", reason: "connection" });
  });
});

describe("an answer is understood:", () => {
  test.each<[string, Reply, unknown]>([
    ["an expired URL", send(403, "URL signature expired"), { kind: "expired" }],
    [
      "an expired URL on a page",
      send(403, `<html>${foreignText} url Signature EXPIRED`),
      { kind: "expired" },
    ],
    ["another 403", send(403, `URL signature mismatch ${foreignText}`), { kind: "forbidden", status: 403 }],
    ["an endless 403", send(403, foreignText.repeat(100_000)), { kind: "forbidden", status: 403 }],
    ["401", send(401, "URL signature expired"), { kind: "forbidden", status: 401 }],
    ["451", send(451, foreignText), { kind: "forbidden", status: 451 }],
    ["404", send(404, foreignText), { kind: "gone", status: 404 }],
    ["404 with an image", send(404, jpeg), { kind: "gone", status: 404 }],
    ["410", send(410, ""), { kind: "gone", status: 410 }],
    ["429", send(429, foreignText, { "retry-after": "7" }), failed("throttled", "HTTP_429", 7_000)],
    ["429 without a time", send(429, ""), failed("throttled", "HTTP_429")],
    ["500 with an image", send(500, jpeg), failed("server-error", "HTTP_500")],
    [
      "503",
      send(503, foreignText, { "retry-after": "86400" }),
      failed("server-error", "HTTP_503", 3_600_000),
    ],
    ["204", send(204, ""), failed("unexpected-status", "HTTP_204")],
    ["206", send(206, jpeg), failed("unexpected-status", "HTTP_206")],
    ["400", send(400, foreignText), failed("unexpected-status", "HTTP_400")],
    ["a page with 200", send(200, `<!doctype html>${foreignText}`), refused("html")],
    [
      "a page that calls itself a JPEG",
      send(200, "<html>", { "content-type": "image/jpeg" }),
      refused("html"),
    ],
    ["an SVG", send(200, "<svg xmlns='http://www.w3.org/2000/svg'/>"), refused("svg")],
    ["a GIF", send(200, readSample("gif")), refused("gif")],
    ["JSON", send(200, `{"error":"${foreignText}"}`), refused("not-an-image")],
    ["nothing", send(200, ""), refused("empty")],
    ["an image that is cut before it was sent", send(200, jpeg.subarray(0, -9)), refused("truncated")],
    ["an encoding", send(200, gzipSync(jpeg), { "content-encoding": "gzip" }), refused("encoding")],
    ["an unknown encoding", send(200, jpeg, { "content-encoding": foreignText }), refused("encoding")],
    ["two encodings", send(200, jpeg, { "content-encoding": "identity, br" }), refused("encoding")],
    ["an encoding that is not told", send(200, gzipSync(jpeg)), refused("not-an-image")],
    ["a byte more than 5 MiB", send(200, makeJpegOfSize(maxImageBytes + 1)), refused("too-large")],
    ["no answer", cutOff, failed("connection", "UND_ERR_SOCKET")],
  ])("%s", async (_, reply, outcome) => {
    expect(await fetchReply(reply)).toEqual(outcome);
  });

  test("a gzip bomb is refused unread", async () => {
    const bomb = gzipSync(Buffer.alloc(100_000_000));
    let count = 0;
    const reply = send(200, bomb, { "content-encoding": "gzip" });
    expect(await fetchReply(reply, { onBytes: (more) => (count += more) })).toEqual(refused("encoding"));
    expect(count).toBe(0);
  });

  test.each([
    ["not HTTP", `${foreignText}\r\n\r\n`],
    ["a head that never ends", `HTTP/1.1 200 OK\r\nx: ${foreignText.repeat(10_000)}`],
    ["a body that is cut", `HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n${foreignText}`],
    ["a piece that is cut", `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\n${foreignText}`],
    ["two lengths", `HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n${foreignText}`],
  ])("%s is a failure of the connection", async (_, text) => {
    const { url } = await openRawServer((socket) => socket.end(text));
    const code = expect.stringMatching(/^[A-Z_]+$/) as unknown;
    expect(await fetchFrom(url, namedUrl(url))).toEqual(failed("connection", code));
  });

  test("what is announced before the answer is no answer", async () => {
    const head = `HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: ${jpeg.length}\r\n\r\n`;
    const { url } = await openRawServer((socket) => socket.end(Buffer.concat([Buffer.from(head), jpeg])));
    expect(await fetchFrom(url, namedUrl(url))).toEqual(taken);
  });

  test("a server that is not there is a failure of the connection", async () => {
    const gone = createServer();
    const url = await listen(gone);
    gone.close();
    await once(gone, "close");
    expect(await fetchFrom(url, namedUrl(url))).toEqual(failed("connection", "ECONNREFUSED"));
  });
});

describe("a body that is too large", () => {
  const block = Buffer.alloc(65_536, 1);
  const hugeBytes = 100_000_000;

  /** Sends 100 MB as fast as they are read, and tells how many bytes the connection took when it is over. */
  async function serveHuge(head: string) {
    const written: number[] = [];
    const { url } = await openRawServer((socket) => {
      let sent = 0;
      socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n`);
      const send = (): void => {
        while (sent < hugeBytes && socket.writable) {
          sent += block.length;
          if (!socket.write(block)) return void socket.once("drain", send);
        }
        socket.end();
      };
      socket.once("close", () => written.push(socket.bytesWritten - socket.writableLength));
      send();
    });
    const readWritten = () =>
      eventually(() => {
        expect(written).toHaveLength(1);
        return written[0];
      });
    return { url, readWritten };
  }

  test("is read for 5 MiB, and its connection is gone then", async () => {
    const huge = await serveHuge("connection: close");
    let count = 0;
    const options = { ...namedUrl(huge.url), onBytes: (more: number) => (count += more) };
    expect(await fetchFrom(huge.url, options)).toEqual(refused("too-large"));
    expect(count).toBeGreaterThan(maxImageBytes);
    expect(count).toBeLessThan(maxImageBytes + 1_000_000);
    // What the system's buffers at both ends hold was written, too.
    expect(await huge.readWritten()).toBeLessThan(hugeBytes / 3);
  });

  test("is not read where its length is told", async () => {
    const huge = await serveHuge(`content-length: ${hugeBytes}`);
    let count = 0;
    const options = { ...namedUrl(huge.url), onBytes: (more: number) => (count += more) };
    expect(await fetchFrom(huge.url, options)).toEqual(refused("too-large"));
    expect(count).toBe(0);
    expect(await huge.readWritten()).toBeLessThan(hugeBytes / 3);
  });
});

describe("a body that is larger than usual", () => {
  const large = makeJpegOfSize(usualBodyBytes + 1);
  const lengths = [
    ["announced", { "content-length": String(2 * large.length) }] as const,
    ["unannounced", {}] as const,
  ];

  test.each(lengths)("is in the buffer of its place, %s", async (_, headers) => {
    const place = createBodyRoom(1).open();
    const body = makeJpegOfSize(2 * large.length);
    const outcome = await fetchReply(send(200, body, headers), { place });
    if (outcome.kind !== "taken") throw new Error(`the image was ${outcome.kind}`);
    // The matchers compare megabytes one by one.
    expect(body.equals(outcome.bytes)).toBe(true);
    expect(outcome.bytes.buffer === place.enlarge()?.buffer).toBe(true);
  });

  test.each(lengths)(
    "is postponed while others have the room, and its connection is gone, %s",
    async (_, headers) => {
      const room = createBodyRoom(1);
      room.open().enlarge();
      let isClosed = false;
      // Its end never comes.
      const reply: Reply = (response) => {
        response.once("close", () => (isClosed = true));
        response.writeHead(200, headers).write(large);
      };
      expect(await fetchReply(reply, { place: room.open() })).toEqual({ kind: "postponed" });
      await eventually(() => expect(isClosed).toBe(true));
    },
  );

  test("is none that takes the place of usual ones", async () => {
    const room = createBodyRoom(1);
    room.open().enlarge();
    const usual = makeJpegOfSize(usualBodyBytes);
    expect(await fetchReply(send(200, usual), { place: room.open() })).toMatchObject({ kind: "taken" });
  });
});

describe("a fetch has an end:", () => {
  const timeoutMs = 100;
  const deadline = failed("deadline", "DEADLINE");

  test("where nothing is answered", async () => {
    expect(await fetchReply(saySilence, { timeoutMs })).toEqual(deadline);
  });

  test("where the body drips, and its connection is gone then", async () => {
    const { url, sockets } = await openRawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
      const drip = setInterval(() => socket.write("a"), 5);
      socket.once("close", () => clearInterval(drip));
    });
    expect(await fetchFrom(url, { ...namedUrl(url), timeoutMs })).toEqual(deadline);
    // undici may have opened another one in its place, which goes when the fetcher closes.
    await eventually(() => expect(sockets[0]?.closed).toBe(true));
  });

  test("where no name server answers", async () => {
    const options = { resolve: () => undefined, timeoutMs };
    expect(await fetchFrom("https://pps.whatsapp.net", options)).toEqual(deadline);
  });

  test("where it waits for a connection that another one has", async () => {
    server.script(saySilence, saySilence);
    const fetcher = openFetcher({ connectionsPerOrigin: 1, timeoutMs });
    const outcomes = await Promise.all([fetcher.fetchImage(server.url), fetcher.fetchImage(server.url)]);
    expect(outcomes).toEqual([deadline, deadline]);
  });

  test("where its caller gives up, before and while it is at work", async () => {
    const aborted = failed("aborted", "ABORTED");
    expect(await fetchReply(send(200, jpeg), { signal: AbortSignal.abort() })).toEqual(aborted);
    expect(server.requests).toEqual([]);
    const giveUp = new AbortController();
    const reply: Reply = () => giveUp.abort();
    expect(await fetchReply(reply, { signal: giveUp.signal })).toEqual(aborted);
  });

  test("closing waits for it, and what comes later fails", async () => {
    const fetcher = openFetcher();
    server.script(send(200, jpeg));
    const fetching = fetcher.fetchImage(server.url);
    await fetcher.close();
    await fetcher.close();
    expect(await fetching).toEqual(taken);
    expect(await fetcher.fetchImage(server.url)).toEqual(failed("connection", "UND_ERR_DESTROYED"));
  });
});

describe("a redirect is not followed", () => {
  test.each([300, 301, 302, 303, 304, 307, 308])("with HTTP %i", async (status) => {
    expect(await fetchReply(send(status, "", { location: `${server.url}/other` }))).toEqual(
      refused("redirect"),
    );
    expect(server.requests).toHaveLength(1);
  });

  test.each(hostileRedirects(9))("to $what: $value", async ({ value }) => {
    const trap = await openRawServer((socket) => socket.destroy());
    const location = value.replace(":9/", `:${new URL(trap.url).port}/`);
    expect(await fetchReply(send(302, foreignText, { location }))).toEqual(refused("redirect"));
    expect(trap.sockets).toEqual([]);
    expect(server.requests).toHaveLength(1);
  });
});

describe("a URL that is not to be fetched", () => {
  /** Names that a name server was asked for: it sends all to this machine. */
  const asked: string[] = [];
  const resolve: ImageFetcherOptions["resolve"] = (hostname, _options, callback) => {
    asked.push(hostname);
    callback(null, [{ address: "127.0.0.1", family: 4 }]);
  };

  test.each(hostileUrls)("is refused unasked: with $what, $value", async ({ value, reason }) => {
    expect(await openFetcher({ resolve }).fetchImage(value)).toEqual(refused(reason));
    expect(asked).toEqual([]);
  });

  test.each([
    "https://example.com/",
    "https://whatsapp.net/",
    "https://pps.whatsapp.net./",
    "https://pps.whatsapp.net.example.com/",
    "https://ppswhatsapp.net/",
    "https://oneme.ru/",
    "https://8.8.8.8/pps.whatsapp.net",
    "https://example.com/?.whatsapp.net",
    "https://example.com/#.whatsapp.net",
  ])("is refused unasked: %s", async (url) => {
    expect(await openFetcher({ resolve }).fetchImage(url)).toEqual(refused("host-not-allowed"));
    expect(asked).toEqual([]);
  });

  test.each([
    "https://pps.whatsapp.net/v/t61.24694-24/1_n.jpg",
    "https://media-fra3-1.cdn.whatsapp.net/v/1_n.jpg",
    "https://PPS.WhatsApp.net:443/v/1_n.jpg",
    "https://i.oneme.ru/i?r=BTE2",
    "https://7103.api.greenapi.com/a.jpg",
    "https://media.green-api.com/a.jpg",
  ])("is one of a messenger's host that leads to this machine: %s", async (url) => {
    expect(await openFetcher({ resolve }).fetchImage(url)).toEqual(refused("private-address"));
    expect(asked.splice(0)).toEqual([new URL(url).hostname]);
  });

  test.each(hostileAnswers)("is one whose name server says $what", async ({ addresses }) => {
    const answer: ImageFetcherOptions["resolve"] = (_hostname, _options, callback) =>
      callback(null, addresses);
    expect(await fetchFrom("https://pps.whatsapp.net", { resolve: answer })).toEqual(
      refused("private-address"),
    );
  });

  test("is none because its name server fails", async () => {
    const outcome = await fetchFrom("https://pps.whatsapp.net", {
      resolve: (hostname, _options, callback) =>
        callback(Object.assign(new Error(`getaddrinfo ${hostname}`), { code: "EAI_AGAIN" }), []),
    });
    expect(outcome).toEqual(failed("connection", "EAI_AGAIN"));
  });

  test("is one of this machine at another port than the named one", async () => {
    const trap = await openRawServer((socket) => socket.destroy());
    for (const url of [trap.url, trap.url.replace("127.0.0.1", "localhost")])
      expect(await openFetcher().fetchImage(url)).toEqual(refused("not-https"));
    expect(trap.sockets).toEqual([]);
  });
});

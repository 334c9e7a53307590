import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { toNetworkErrorCode } from "../../src/outbound/network-error-code.ts";
import { type ReadReply, ReplyReader } from "../../src/provider/wire/reply-reader.ts";

const body = '{"urlAvatar":"https://pps.whatsapp.net/ä.jpg","available":true}';
const length = Buffer.byteLength(body);
const chunked = ["transfer-encoding: chunked", "", toChunks(body, 7)];

function toChunks(text: string, size: number): string {
  const chunks = text.match(new RegExp(`.{1,${size}}`, "gsu")) ?? [];
  const written = chunks.map((chunk) => `${Buffer.byteLength(chunk).toString(16)};a=b\r\n${chunk}\r\n`);
  return `${written.join("")}0\r\nx-trailer: 1\r\n\r\n`;
}

function write(...lines: string[]): Buffer {
  return Buffer.from(["HTTP/1.1 200 OK", "Server: nginx", ...lines].join("\r\n"));
}

/** What comes of `bytes` in pieces that end at `cuts`, and perhaps the end of the connection. */
function read(bytes: Buffer, cuts: readonly number[] = [], ends = false): ReadReply | undefined {
  const reader = new ReplyReader(1_000);
  // All connections share one buffer: what was there is overwritten by the next piece.
  const shared = Buffer.alloc(bytes.length);
  let reply: ReadReply | undefined;
  const places = [0, ...cuts.toSorted((a, b) => a - b), bytes.length];
  for (const [index, from] of places.slice(0, -1).entries()) {
    const piece = bytes.subarray(from, places[index + 1]);
    if (piece.length === 0) continue;
    shared.fill(0x2a);
    piece.copy(shared);
    reply ??= reader.read(shared.subarray(0, piece.length));
  }
  return reply ?? (ends ? reader.end() : undefined);
}

function codeOf(bytes: Buffer, cuts: readonly number[] = []): string | undefined {
  try {
    return read(bytes, cuts) ? "read" : undefined;
  } catch (error) {
    return toNetworkErrorCode(error);
  }
}

describe("a reply", () => {
  test.each([
    ["with its length", write(`Content-Length: ${length}`, "", body), 4_000],
    ["in chunks", write(...chunked), 4_000],
    [
      "with the server's patience",
      write("Keep-Alive: timeout=65, max=10", `Content-Length: ${length}`, "", body),
      63_000,
    ],
    ["with little patience", write("Keep-Alive: timeout=2", `Content-Length: ${length}`, "", body), 0],
    ["that closes", write("Connection: Keep-Alive, Close", `Content-Length: ${length}`, "", body), 0],
    ["up to the end of the connection", write("", body), 0],
    [
      "after others that say nothing",
      Buffer.concat([Buffer.from("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), write(...chunked)]),
      4_000,
    ],
    [
      "with the same length twice",
      write(`Content-Length: ${length}`, `content-length: ${length}`, "", body),
      4_000,
    ],
  ])("%s is read, however it is cut", (_, bytes, restMs) => {
    const cuts = fc.array(fc.nat(bytes.length), { maxLength: 12 });
    fc.assert(
      fc.property(cuts, (places) => {
        expect(read(bytes, places, true)).toMatchObject({ head: { status: 200 }, body, restMs });
      }),
    );
    const everywhere = Array.from(bytes, (_byte, at) => at);
    expect(read(bytes, everywhere, true)).toMatchObject({ head: { status: 200 }, body, restMs });
  });

  test("without a body ends with its head", () => {
    const bytes = Buffer.from("HTTP/1.1 204 No Content\r\nRetry-After: 3\r\nretry-after: 4\r\n\r\n");
    expect(read(bytes)).toEqual({
      head: { status: 204, retryAfter: "3", length: undefined, isChunked: false, restMs: 4_000 },
      body: "",
      restMs: 4_000,
    });
  });

  test("needs no words for its status", () => {
    expect(read(Buffer.from("HTTP/1.1 500\r\ncontent-length:0\r\n\r\n"))?.head.status).toBe(500);
  });

  test("of HTTP/1.0 ends its connection", () => {
    expect(read(Buffer.from("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na"))).toMatchObject({
      body: "a",
      restMs: 0,
    });
  });

  test("with more behind it ends its connection", () => {
    const two = Buffer.concat([write("content-length: 1", "", "a"), write("content-length: 1", "", "b")]);
    expect(read(two)).toMatchObject({ body: "a", restMs: 0 });
    expect(read(write("transfer-encoding: chunked", "", "1\r\na\r\n0\r\n\r\nx"))).toMatchObject({
      body: "a",
      restMs: 0,
    });
  });

  test("loses the mark that may begin it", () => {
    expect(read(write("content-length: 5", "", "\uFEFF{}"))).toMatchObject({ body: "{}" });
  });

  test("leaves the reader ready for the next", () => {
    const reader = new ReplyReader(1_000);
    for (const text of ["a", "b"]) {
      expect(reader.read(write("content-length: 1", "", text))).toMatchObject({ body: text });
      expect(reader.read(write(...chunked))).toMatchObject({ body });
    }
  });
});

describe("no reply", () => {
  test.each([
    ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["another version", "HTTP/2 200 OK\r\n\r\n"],
    ["no status", "HTTP/1.1 2000 OK\r\n\r\n"],
    ["a bare line end", "HTTP/1.1 200 OK\nserver: x\r\n\r\n"],
    ["a folded header", "HTTP/1.1 200 OK\r\nserver: x\r\n y\r\n\r\n"],
    ["a blank before the colon", "HTTP/1.1 200 OK\r\nserver : x\r\n\r\n"],
    ["a header without a colon", "HTTP/1.1 200 OK\r\nserver\r\n\r\n"],
    ["a control character", "HTTP/1.1 200 OK\r\nserver: \0\r\n\r\n"],
    ["two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab"],
    ["a negative length", "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"],
    ["a length and chunks", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"],
    ["another coding", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n"],
    ["a chunk without a size", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\n"],
    [
      "a chunk with a bare line end",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    ],
    [
      "a chunk that is longer than told",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    ],
  ])("but a fault is %s", (_, text) => {
    const bytes = Buffer.from(text);
    expect(codeOf(bytes)).toBe("UND_ERR_HTTP_PARSER");
    expect(
      codeOf(
        bytes,
        Array.from(bytes, (_byte, at) => at),
      ),
    ).toBe("UND_ERR_HTTP_PARSER");
  });

  test.each(["100 Continue", "101 Switching Protocols"])("is %s, which was not asked for", (status) => {
    expect(codeOf(Buffer.from(`HTTP/1.1 ${status}\r\n\r\n`))).toBe("UND_ERR_SOCKET");
  });

  test("is a head without end", () => {
    const bytes = write("x: ".padEnd(20_000, "x"));
    expect(codeOf(bytes)).toBe("UND_ERR_HEADERS_OVERFLOW");
    expect(codeOf(bytes, [10_000, 17_000])).toBe("UND_ERR_HEADERS_OVERFLOW");
  });

  test.each([
    ["by its length", write("content-length: 1001", "", "")],
    ["in chunks", write("transfer-encoding: chunked", "", toChunks("x".repeat(1_001), 100))],
    ["without a length", write("", "x".repeat(1_001))],
  ])("is one over the limit, %s", (_, bytes) => {
    expect(codeOf(bytes)).toBe("UND_ERR_RES_EXCEEDED_MAX_SIZE");
  });

  test("is one that was cut off", () => {
    const whole = write(`Content-Length: ${length}`, "", body);
    for (let end = 1; end < whole.length; end += 1)
      expect(read(whole.subarray(0, end), [], true)).toBeUndefined();
    const inChunks = write(...chunked);
    for (let end = 1; end < inChunks.length; end += 1)
      expect(read(inChunks.subarray(0, end), [], true)).toBeUndefined();
  });

  test("comes of bytes by chance: they are a fault, or more is awaited", () => {
    const noise = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.string().map((text) => Buffer.from(`HTTP/1.1 200 OK\r\n${text}\r\n\r\n`)),
      fc.string().map((text) => Buffer.from(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${text}`)),
    );
    fc.assert(
      fc.property(noise, fc.array(fc.nat(200)), (bytes, cuts) => {
        const inside = cuts.filter((cut) => cut <= bytes.length);
        const code = codeOf(Buffer.from(bytes), inside);
        expect(["read", undefined, "UND_ERR_HTTP_PARSER"]).toContain(code);
      }),
    );
  });
});

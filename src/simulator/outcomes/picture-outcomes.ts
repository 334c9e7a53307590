import { deflateSync, gzipSync } from "node:zlib";
import { toChunks } from "../pictures/png.ts";
import type { Picture } from "../pictures/painter.ts";
import { type PictureAnswer, type PictureReply, toBytes, toPictureAnswer, toPlain } from "./picture-reply.ts";
import { toHtml } from "./reply.ts";

/** What an outcome may look at to make its reply. */
export interface PictureRequest {
  /** The path and the query. */
  readonly target: string;
  /** On which port the simulator was asked. */
  readonly port: number;
  readonly draw: () => Picture;
  /** The pause between two pieces of a slow picture. */
  readonly dripMs: number;
}

/** One thing that may happen to the request of a picture. */
interface PictureOutcomeSpec {
  /** The last six digits of a chat id whose pictures always end so. */
  readonly digits: string;
  readonly means: string;
  readonly respond: (request: PictureRequest) => PictureReply;
}

const mebibyte = 1_048_576;
const hugeBytes = 100 * mebibyte;

const page = toHtml("Log in to continue").body;
const scripted = `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="640"><script>alert(1)</script></svg>`;
const onePixelGif = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
/** The box by which a HEIC file is known, and no picture in it. */
const heicHead = "000000186674797068656963000000006d69663168656963";

/**
 * What may happen to a picture, by name. A script asks for one by its name, a share too, and a chat by the last six digits of
 * its number: `98`, the status, and a digit to tell variants apart. Such a chat always has a picture.
 *
 * | digits | outcome | digits | outcome |
 * |---|---|---|---|
 * | 982000 | served | 983020 | redirect-metadata-302 |
 * | 982001 | html-200 | 983021 | redirect-loopback-302 |
 * | 982002 | html-as-jpeg | 984030 | expired-403 |
 * | 982003 | svg | 984031 | mismatch-403 |
 * | 982004 | gif | 984040 | not-found-404 |
 * | 982005 | heic | 984100 | gone-410 |
 * | 982006 | empty | 984290 | throttled-429 |
 * | 982007 | truncated | 985000 | server-error-500 |
 * | 982008 | giant-pixels | 980090 | slow |
 * | 982009 | huge | 980091 | cut |
 * | 982010 | huge-unannounced | 980092 | stalled |
 * | 982011 | gzip-bomb | 980093 | reset |
 */
const pictureOutcomes = {
  served: {
    digits: "982000",
    means: "the picture",
    respond: ({ draw }) => toPictureAnswer(draw()),
  },
  "html-200": {
    digits: "982001",
    means: "a page, and its type says so",
    respond: () => toBytes("text/html; charset=utf-8", page),
  },
  "html-as-jpeg": {
    digits: "982002",
    means: "a page that is called image/jpeg",
    respond: () => toBytes("image/jpeg", page),
  },
  svg: {
    digits: "982003",
    means: "a drawing with a script in it",
    respond: () => toBytes("image/svg+xml", scripted),
  },
  gif: {
    digits: "982004",
    means: "a GIF of one pixel",
    respond: () => toBytes("image/gif", Buffer.from(onePixelGif, "base64")),
  },
  heic: {
    digits: "982005",
    means: "the head of a HEIC file",
    respond: () => toBytes("image/heic", Buffer.from(heicHead, "hex")),
  },
  empty: {
    digits: "982006",
    means: "no bytes, called image/jpeg",
    respond: () => toBytes("image/jpeg", ""),
  },
  truncated: {
    digits: "982007",
    means: "the first half of the picture, with the length of the half",
    respond: ({ draw }) => {
      const { type, bytes } = draw();
      return toBytes(type, bytes.subarray(0, bytes.length >> 1));
    },
  },
  "giant-pixels": {
    digits: "982008",
    means: "a small PNG that says 30,000 by 30,000 pixels",
    respond: () => {
      const header = { width: 30_000, height: 30_000, depth: 1, colourType: 0 };
      return toBytes("image/png", toChunks(header, [["IDAT", deflateSync(Buffer.alloc(mebibyte))]]));
    },
  },
  huge: {
    digits: "982009",
    means: "the picture and zeros, 100 MiB as `content-length` says",
    respond: ({ draw }) => toFlood(draw(), { "content-length": String(hugeBytes) }),
  },
  "huge-unannounced": {
    digits: "982010",
    means: "the same 100 MiB without a `content-length`",
    respond: ({ draw }) => toFlood(draw(), {}),
  },
  "gzip-bomb": {
    digits: "982011",
    means: "100 KiB of gzip that become 100 MiB of zeros",
    respond: () => {
      // A gzip file may have several members: packing one and repeating it costs a hundredth.
      const member = gzipSync(Buffer.alloc(mebibyte));
      const bomb = Buffer.concat(Array.from({ length: 100 }, () => member));
      return toBytes("image/jpeg", bomb, { "content-encoding": "gzip" });
    },
  },
  "redirect-metadata-302": {
    digits: "983020",
    means: "to the address where clouds keep their secrets",
    respond: () => toRedirect("http://169.254.169.254/latest/meta-data/iam/security-credentials/"),
  },
  "redirect-loopback-302": {
    digits: "983021",
    means:
      "to the loopback, where the picture is: the log has `redirect-followed` for a client that goes there",
    respond: ({ target, port }) => toRedirect(`http://127.0.0.1:${port}/redirected${target}`),
  },
  "expired-403": {
    digits: "984030",
    means: "the URL is too old",
    respond: () => toPlain(403, "URL signature expired"),
  },
  "mismatch-403": {
    digits: "984031",
    means: "the URL was changed",
    respond: () => toPlain(403, "URL signature mismatch"),
  },
  "not-found-404": {
    digits: "984040",
    means: "the picture is not there",
    respond: () => toPlain(404, "Not Found"),
  },
  "gone-410": {
    digits: "984100",
    means: "the picture is gone for good",
    respond: () => toPlain(410, "Gone"),
  },
  "throttled-429": {
    digits: "984290",
    means: "too many requests, Retry-After in seconds",
    respond: () => toPlain(429, "Too Many Requests", { "retry-after": "2" }),
  },
  "server-error-500": {
    digits: "985000",
    means: "a fault inside",
    respond: () => toPlain(500, "Internal Server Error"),
  },
  slow: {
    digits: "980090",
    means: "the whole picture in 64 pieces with a pause between them, 16 s in all unless told",
    respond: ({ draw, dripMs }) => ({
      kind: "drip",
      answer: toPictureAnswer(draw()),
      pieces: 64,
      pauseMs: dripMs,
    }),
  },
  cut: {
    digits: "980091",
    means: "half of what `content-length` says, then the connection ends",
    respond: ({ draw }) => ({ kind: "cut", answer: toPictureAnswer(draw()) }),
  },
  stalled: {
    digits: "980092",
    means: "no answer, the connection stays open",
    respond: () => ({ kind: "stall" }),
  },
  reset: {
    digits: "980093",
    means: "the connection is reset",
    respond: () => ({ kind: "reset" }),
  },
} satisfies Record<string, PictureOutcomeSpec>;

export type PictureOutcomeName = keyof typeof pictureOutcomes;

/** All names, in the order in which they are written down. */
export const pictureOutcomeNames = Object.keys(pictureOutcomes) as PictureOutcomeName[];

const namesByDigits = new Map(pictureOutcomeNames.map((name) => [pictureOutcomes[name].digits, name]));

export function isPictureOutcomeName(text: string): text is PictureOutcomeName {
  return Object.hasOwn(pictureOutcomes, text);
}

export function getPictureOutcome(name: PictureOutcomeName): PictureOutcomeSpec {
  return pictureOutcomes[name];
}

/** What a chat's pictures always end in by its number alone, if its number is one of the table's. */
export function findPictureOutcomeByDigits(chatId: string): PictureOutcomeName | undefined {
  const at = chatId.indexOf("@");
  return at < 6 ? undefined : namesByDigits.get(chatId.slice(at - 6, at));
}

function toFlood({ type, bytes }: Picture, headers: Record<string, string>): PictureReply {
  return {
    kind: "flood",
    status: 200,
    headers: { "content-type": type, ...headers },
    head: bytes,
    bytes: hugeBytes,
  };
}

function toRedirect(location: string): PictureAnswer {
  return toPlain(302, "", { location });
}

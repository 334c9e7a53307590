import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { contactStatuses, statusMeanings, type ContactStatus } from "../../domain/contact-status.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import { gallerySource } from "./gallery-script.ts";
import { galleryStyle } from "./gallery-style.ts";

/** A small image of a contact; undefined: there is none to show. */
export interface Thumbnail {
  /** A media type. */
  readonly type: string;
  readonly bytes: Buffer;
}

export interface GalleryPorts {
  /** The title of the page: plain text. */
  readonly title: string;
  readonly rows: AsyncIterable<ResultRow>;
  readonly readThumbnail: (row: ResultRow) => Promise<Thumbnail | undefined>;
  /** When the results were read. */
  readonly now: Date;
}

/** Contacts of a page: a browser draws them in a moment. */
const pageSize = 1_000;
/** Thumbnails that are read at the same time. */
const readAtOnce = 8;

const hashOf = (text: string) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

/** Nothing is loaded from anywhere, and no script runs but the page's own. */
const policy = [
  "default-src 'none'",
  "img-src data:",
  `style-src ${hashOf(galleryStyle)}`,
  `script-src ${hashOf(gallerySource)}`,
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/**
 * One self-contained HTML page with the faces of contacts, as a stream: it holds the texts of a page of a thousand and a few
 * thumbnails in memory, however many there are. Images are in it, and it asks nothing of any host.
 */
export function encodeGallery(ports: GalleryPorts): Readable {
  return Readable.from(writeGallery(ports), { objectMode: false });
}

async function* writeGallery({ title, rows, readThumbnail, now }: GalleryPorts): AsyncGenerator<string> {
  const counts = new Map<ContactStatus, number>();
  let pages = 0;
  yield toHead(title, now);
  for await (const page of inPages(rows)) {
    for (const { status } of page) counts.set(status, (counts.get(status) ?? 0) + 1);
    yield toBlock(`rows-${pages}`, page.map(toCells));
    yield* toThumbnailBlock(`thumbs-${pages}`, page, readThumbnail);
    pages += 1;
  }
  const inOrder = contactStatuses.flatMap((status) => {
    const count = counts.get(status);
    return count === undefined ? [] : [[status, count] as const];
  });
  const counted = Object.fromEntries(inOrder);
  yield toBlock("facts", { pages, pageSize, counts: counted, meanings: statusMeanings });
  yield `<script>${gallerySource}</script>\n</html>\n`;
}

async function* inPages(rows: AsyncIterable<ResultRow>): AsyncGenerator<ResultRow[]> {
  let page: ResultRow[] = [];
  for await (const row of rows) {
    page.push(row);
    if (page.length < pageSize) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

/** A list in the order of the rows, with an empty text where there is none, written some at a time. */
async function* toThumbnailBlock(
  id: string,
  page: readonly ResultRow[],
  read: GalleryPorts["readThumbnail"],
): AsyncGenerator<string> {
  const readText = async (row: ResultRow): Promise<string> => {
    const thumbnail = row.image.sha256 === undefined ? undefined : await read(row);
    return thumbnail ? `data:${thumbnail.type};base64,${thumbnail.bytes.toString("base64")}` : "";
  };
  yield `${toBlockStart(id)}[`;
  for (let from = 0; from < page.length; from += readAtOnce) {
    const texts = await Promise.all(page.slice(from, from + readAtOnce).map(readText));
    yield (from === 0 ? "" : ",") + texts.map(toJson).join(",");
  }
  yield `]${blockEnd}`;
}

function toCells({ chatId, externalRef = "", status, checkedAt, image }: ResultRow): (string | boolean)[] {
  return [chatId, externalRef, status, checkedAt?.toISOString() ?? "", image.isOld];
}

/** A block that is data for a browser, and never a script, whatever it holds. */
const toBlock = (id: string, value: unknown) => toBlockStart(id) + toJson(value) + blockEnd;
const toBlockStart = (id: string) => `<script type="application/json" id="${id}">`;
const toJson = (value: unknown) => JSON.stringify(value).replaceAll("<", "\\u003c");
const blockEnd = "</script>\n";

const toText = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");

function toHead(title: string, now: Date): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>${toText(title)}</title>
<style>${galleryStyle}</style>
<header>
<h1>${toText(title)}</h1>
<p><span id="shown" role="status"></span>, as of ${now.toISOString().slice(0, 16).replace("T", " ")} UTC</p>
<form id="filters" role="search">
<input id="search" type="search" placeholder="number or reference" aria-label="Find by number or reference">
<span id="statuses" role="group" aria-label="Outcome"></span>
</form>
</header>
<main>
<ul id="faces" aria-label="Contacts"></ul>
<p id="empty" class="empty" hidden>No contact is like that.</p>
</main>
<nav id="pages" aria-label="Pages" hidden>
<button type="button" id="before">Before</button>
<span id="place"></span>
<button type="button" id="after">Next</button>
</nav>
`;
}

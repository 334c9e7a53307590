import { describe, expect, test } from "vitest";
import { statusMeanings } from "../../src/domain/contact-status.ts";
import type { ResultRow } from "../../src/domain/views/result-row.ts";
import { encodeGallery } from "../../src/results/gallery/encode-gallery.ts";
import { noImage } from "../support/no-image.ts";

const thumbnailBytes = 100_000;

/** Contacts, every second of which has a picture of its own. */
async function* makeRows(count: number): AsyncGenerator<ResultRow> {
  for (let at = 0; at < count; at += 1)
    yield {
      instanceId: "1101000001",
      chatId: `${79_000_000_000 + at}@c.us`,
      externalRef: `</script>${at}`,
      status: at % 2 === 0 ? "present" : "absent",
      avatarUrl: undefined,
      urlExpiresAt: undefined,
      checkedAt: undefined,
      attempts: 0,
      lastError: undefined,
      position: undefined,
      image: at % 2 === 0 ? { ...noImage, sha256: String(at) } : noImage,
    };
}

/** A page whose thumbnails begin with the number of their contact. */
function openGallery(count: number) {
  const seen = { reads: 0, readingNow: 0, mostReadingNow: 0 };
  const page = encodeGallery({
    title: "Many",
    rows: makeRows(count),
    now: new Date(0),
    async readThumbnail({ image: { sha256 = "" } }) {
      seen.reads += 1;
      seen.readingNow += 1;
      seen.mostReadingNow = Math.max(seen.mostReadingNow, seen.readingNow);
      await Promise.resolve();
      seen.readingNow -= 1;
      return { type: "image/jpeg", bytes: Buffer.alloc(thumbnailBytes, `${sha256}<`) };
    },
  });
  return { page, seen };
}

/** The JSON of a block by its id. */
function readBlock(html: string, id: string): unknown {
  const start = `<script type="application/json" id="${id}">`;
  const from = html.indexOf(start) + start.length;
  return JSON.parse(html.slice(from, html.indexOf("</script>", from)));
}

describe("a gallery", () => {
  test("has all contacts in pages of a thousand, each with its own thumbnail", async () => {
    const pieces: Buffer[] = [];
    for await (const piece of openGallery(1_010).page) pieces.push(Buffer.from(piece as string));
    const html = Buffer.concat(pieces).toString();
    expect(readBlock(html, "facts")).toEqual({
      pages: 2,
      pageSize: 1_000,
      counts: { present: 505, absent: 505 },
      meanings: statusMeanings,
    });
    const rows = [readBlock(html, "rows-0"), readBlock(html, "rows-1")].flat() as string[][];
    const thumbs = [readBlock(html, "thumbs-0"), readBlock(html, "thumbs-1")].flat() as string[];
    expect([rows.length, thumbs.length]).toEqual([1_010, 1_010]);
    expect(rows.map(([, ref]) => ref)).toEqual(rows.map((_row, at) => `</script>${at}`));
    thumbs.forEach((thumb, at) => {
      const [, base64 = ""] = thumb.split("base64,");
      expect(Buffer.from(base64, "base64").toString("latin1", 0, 20).split("<")[0]).toBe(
        at % 2 === 0 ? String(at) : "",
      );
    });
  });

  test("is written a few thumbnails at a time, and no faster than it is read", async () => {
    const { page, seen } = openGallery(1_000);
    let largest = 0;
    let bytes = 0;
    for await (const piece of page) {
      const { length } = piece as string | Buffer;
      largest = Math.max(largest, length);
      bytes += length;
      // What is read ahead: a few groups of thumbnails.
      expect(seen.reads * thumbnailBytes).toBeLessThan(bytes + 40 * thumbnailBytes);
    }
    expect([seen.reads, seen.readingNow]).toEqual([500, 0]);
    expect(seen.mostReadingNow).toBeLessThanOrEqual(8);
    expect(largest).toBeLessThan(10 * 1.4 * thumbnailBytes);
  });
});

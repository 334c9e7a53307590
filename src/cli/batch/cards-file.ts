import { pipeline } from "node:stream/promises";
import { encodeCards, type App, type CardFate } from "../../app/app.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import type { CommandIo } from "../terminal/io.ts";
import { openOutput, toWriteError } from "../terminal/output-file.ts";
import { toCounted } from "../terminal/counted.ts";

/** What became of the contacts, by count. */
export type CardCounts = Readonly<Record<CardFate, number>>;

/** A phone shows less, and larger ones make an address book that no phone takes: they are made smaller where sharp is there. */
const largePhotoBytes = 500_000;
const photoSize = 640;

/**
 * Writes contacts with their pictures as vCards to a file, or to standard output for `-`; see `openOutput`.
 * @throws UserError `file-not-writable`; the signal's reason
 */
export async function writeCardsFile(
  app: App,
  path: string,
  rows: AsyncIterable<ResultRow>,
  { stdout, signal }: Pick<CommandIo, "stdout" | "signal">,
): Promise<CardCounts> {
  const counts = { written: 0, "no-picture": 0, "no-number": 0 };
  const cards = encodeCards({
    rows,
    async readPhoto(sha256) {
      const photo = await app.images.read(sha256);
      if (photo === undefined || photo.bytes.length <= largePhotoBytes) return photo;
      return app.images.read(sha256, photoSize);
    },
    told(fate) {
      counts[fate] += 1;
    },
  });
  if (path === "-") {
    await pipeline(cards, stdout, { end: false, signal });
    return counts;
  }
  const output = await openOutput(path, signal);
  try {
    await pipeline(cards, output.stream, { end: false, signal });
    await output.commit();
  } catch (error) {
    throw toWriteError(path, error);
  } finally {
    await output.discard();
  }
  return counts;
}

/** The counts in words: `2 cards with pictures written to faces.vcf; left out: 3 contacts without a picture`. */
export function formatCards(counts: CardCounts, path: string): string {
  const out = [
    ...(counts["no-picture"] > 0 ? [`${toCounted(counts["no-picture"], "contact")} without a picture`] : []),
    ...(counts["no-number"] > 0
      ? [
          toCounted(
            counts["no-number"],
            "group or privacy id, which has no number",
            "groups and privacy ids, which have no number",
          ),
        ]
      : []),
  ];
  return [
    `${toCounted(counts.written, "card with a picture", "cards with pictures")} written to ${path === "-" ? "standard output" : path}`,
    ...(out.length > 0 ? [`left out: ${out.join(", ")}`] : []),
  ].join("; ");
}

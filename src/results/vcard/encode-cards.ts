import { Readable } from "node:stream";
import type { ImageType } from "../../domain/images/image.ts";
import type { ResultRow } from "../../domain/views/result-row.ts";
import { foldLine } from "./fold-line.ts";

/** The picture of a contact, as it goes into its card. */
export interface Photo {
  readonly type: ImageType;
  readonly bytes: Buffer;
}

/** What became of a contact. */
export type CardFate = "written" | "no-picture" | "no-number";

export interface CardPorts {
  readonly rows: AsyncIterable<ResultRow>;
  /** The picture of a contact that has one. Undefined: its bytes are not there any more. */
  readonly readPhoto: (sha256: string) => Promise<Photo | undefined>;
  /** Told for each contact. */
  readonly told: (fate: CardFate) => void;
}

/** Pictures that are read at the same time. */
const readAtOnce = 8;
/** As phones know them; the type of WebP is by its registration. */
const photoTypes: Readonly<Record<ImageType, string>> = {
  "image/jpeg": "JPEG",
  "image/png": "PNG",
  "image/webp": "WEBP",
};

/**
 * Contacts with their pictures as vCards 3.0, which the phone books of iOS and Android take in. The name of a card is the external
 * reference, or the number; its UID the external reference, or the chat id. A contact without a picture has no card: it would
 * make a nameless entry in a phone book. Neither have groups and privacy ids, which have no number.
 */
export function encodeCards(ports: CardPorts): Readable {
  return Readable.from(writeCards(ports), { objectMode: false });
}

async function* writeCards({ rows, readPhoto, told }: CardPorts): AsyncGenerator<string> {
  for await (const some of inGroups(rows, readAtOnce)) {
    const cards = await Promise.all(some.map((row) => toCard(row, readPhoto)));
    for (const { fate, text } of cards) {
      told(fate);
      if (text !== "") yield text;
    }
  }
}

async function* inGroups<Item>(items: AsyncIterable<Item>, size: number): AsyncGenerator<Item[]> {
  let group: Item[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

async function toCard(
  { chatId, externalRef, image }: ResultRow,
  readPhoto: CardPorts["readPhoto"],
): Promise<{ readonly fate: CardFate; readonly text: string }> {
  const digits = /^(\d+)@c\.us$/.exec(chatId)?.[1];
  if (digits === undefined) return { fate: "no-number", text: "" };
  const photo = image.sha256 === undefined ? undefined : await readPhoto(image.sha256);
  if (photo === undefined) return { fate: "no-picture", text: "" };
  const name = escape(externalRef ?? `+${digits}`);
  const lines = [
    "BEGIN:VCARD",
    "VERSION:3.0",
    // Required, and what iOS shows.
    `N:${name};;;;`,
    `FN:${name}`,
    // The account's own name, as WhatsApp writes it: the number of a chat id is not always the one that is dialled.
    `TEL;TYPE=CELL;waid=${digits}:+${digits}`,
    `UID:${escape(externalRef ?? chatId)}`,
    `PHOTO;ENCODING=b;TYPE=${photoTypes[photo.type]}:${photo.bytes.toString("base64")}`,
    "END:VCARD",
  ];
  return { fate: "written", text: lines.map(foldLine).join("") };
}

function escape(text: string): string {
  return text.replace(/[\\,;]/g, "\\$&").replace(/\r\n?|\n/g, "\\n");
}

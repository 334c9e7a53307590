import fc from "fast-check";
import { expect, test } from "vitest";
import type { ResultRow } from "../../src/domain/views/result-row.ts";
import { encodeCards, type CardFate, type Photo } from "../../src/results/vcard/encode-cards.ts";
import { noImage } from "../support/no-image.ts";
import { readIntake } from "../support/read-intake.ts";

interface Face {
  readonly chatId: string;
  readonly externalRef?: string | undefined;
  readonly photo?: Photo | "lost";
}

/** The cards of these contacts, and what became of each. */
async function write(faces: readonly Face[]): Promise<{ text: string; fates: CardFate[] }> {
  async function* makeRows(): AsyncGenerator<ResultRow> {
    for (const [at, { chatId, externalRef, photo }] of faces.entries()) {
      const image = photo === undefined ? noImage : { ...noImage, sha256: String(at) };
      yield {
        instanceId: "1101000001",
        chatId,
        externalRef,
        status: "present",
        attempts: 1,
        image,
      } as ResultRow;
    }
  }
  const fates: CardFate[] = [];
  let text = "";
  const cards = encodeCards({
    rows: makeRows(),
    async readPhoto(sha256) {
      const photo = faces[Number(sha256)]?.photo;
      return photo === "lost" ? undefined : photo;
    },
    told: (fate) => void fates.push(fate),
  });
  for await (const piece of cards) text += String(piece);
  return { text, fates };
}

const jpeg: Photo = {
  type: "image/jpeg",
  bytes: Buffer.from("a picture, in a few bytes, that need more than one line"),
};

test("a card has what phones ask for, in lines of 75 octets", async () => {
  const { text } = await write([{ chatId: "79160000401@c.us", externalRef: "Crm;1, é", photo: jpeg }]);
  expect(text.split("\r\n")).toEqual([
    "BEGIN:VCARD",
    "VERSION:3.0",
    "N:Crm\\;1\\, é;;;;",
    "FN:Crm\\;1\\, é",
    "TEL;TYPE=CELL;waid=79160000401:+79160000401",
    "UID:Crm\\;1\\, é",
    "PHOTO;ENCODING=b;TYPE=JPEG:YSBwaWN0dXJlLCBpbiBhIGZldyBieXRlcywgdGhhdCBuZWVk",
    " IG1vcmUgdGhhbiBvbmUgbGluZQ==",
    "END:VCARD",
    "",
  ]);
});

test("a contact without a reference is called by its number", async () => {
  const { text } = await write([{ chatId: "79160000401@c.us", photo: { ...jpeg, type: "image/webp" } }]);
  expect(text).toContain("\r\nFN:+79160000401\r\n");
  expect(text).toContain("\r\nUID:79160000401@c.us\r\n");
  expect(text).toContain("\r\nPHOTO;ENCODING=b;TYPE=WEBP:");
});

test("contacts without a picture, and chats without a number, are left out and told", async () => {
  const { text, fates } = await write([
    { chatId: "79160000401@c.us" },
    { chatId: "79160000402@c.us", photo: "lost" },
    { chatId: "120363000000000001@g.us", photo: jpeg },
    { chatId: "123456789012345@lid", photo: jpeg },
    { chatId: "79160000403@c.us", photo: jpeg },
  ]);
  expect(fates).toEqual(["no-picture", "no-picture", "no-number", "no-number", "written"]);
  expect(text.match(/^TEL.*/gm)).toEqual(["TEL;TYPE=CELL;waid=79160000403:+79160000403"]);
});

test("what is written is read again: the same chats, references and order", async () => {
  const ref = fc
    .string({ unit: "grapheme", minLength: 1, maxLength: 100 })
    .map((text) => text.replace(/[\p{Cc}\p{Cs}\ufffd]/gu, "").trim())
    .filter((text) => text !== "");
  const face = fc.record({
    chatId: fc.bigInt({ min: 10_000n, max: 10n ** 20n - 1n }).map((digits) => `${digits}@c.us`),
    externalRef: fc.option(ref, { nil: undefined }),
    photo: fc
      .uint8Array({ maxLength: 300 })
      .map((bytes): Photo => ({ type: "image/png", bytes: Buffer.from(bytes) })),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(face, { minLength: 1, maxLength: 20 }), async (faces) => {
      const { text } = await write(faces);
      for (const line of text.split("\r\n")) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(75);
      expect(await readIntake(text)).toEqual(
        faces.map(({ chatId, externalRef = chatId }, at) => ({
          kind: "contact",
          position: at + 1,
          chatId,
          externalRef,
        })),
      );
      const lines = text.replaceAll("\r\n ", "").split("\r\n");
      const photos = lines.filter((line) => line.startsWith("PHOTO;")).map((line) => line.split(":")[1]);
      expect(photos).toEqual(faces.map(({ photo }) => photo.bytes.toString("base64")));
    }),
    { numRuns: 200 },
  );
});

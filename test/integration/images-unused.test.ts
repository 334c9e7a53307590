import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { findStandingImages, findUnshownImages } from "../../src/store/images/list-images.ts";
import { removeUnknownImage } from "../../src/store/images/remove-unknown-image.ts";
import { removeUnusedImages } from "../../src/store/images/remove-unused-images.ts";
import { settleImages } from "../../src/store/images/settle-images.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { eventually } from "../support/eventually.ts";
import { addImageContact, hash, taken, toImage } from "../support/image-contacts.ts";
import { absent, paceSettings, present } from "../support/ledger.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, { ...paceSettings, keepsImages: true });
});
afterAll(async () => database.close());

const addContact = async () => addImageContact(database, ledger);

const image = (content: string) => toImage(content).sha256;
const fail = async () => expect.unreachable();

async function countWaiting(): Promise<number> {
  const { rows } = await database.pool.query<{ waiting: number }>(
    `select count(*)::int as waiting from pg_locks l join pg_stat_activity a using (pid)
     where not l.granted and l.locktype = 'transactionid' and a.datname = current_database()`,
  );
  return rows[0]?.waiting ?? 0;
}

describe("bytes that no row tells of", () => {
  test("are removed, and leave no row", async () => {
    let count = 0;
    const removeBytes = async () => void (count += 1);
    expect(await removeUnknownImage(database.pool, image("stray"), removeBytes)).toBe(true);
    expect([count, await findStandingImages(database.pool, [image("stray")])]).toEqual([1, []]);
  });

  test("are left alone where their row has come meanwhile", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("late row"));
    expect(await removeUnknownImage(database.pool, image("late row"), fail)).toBe(false);
  });

  test("are put again by who is about to write their row while they are removed", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    const bytes = new Set([hash("in time")]);
    let settling: Promise<unknown> | undefined;
    await removeUnknownImage(database.pool, image("in time"), async () => {
      settling = settleImages(
        database.pool,
        [{ wanted: { contactId: contact.contactId, version: "/a" }, settlement: taken("in time") }],
        async () => void bytes.add(hash("in time")),
      );
      await eventually(async () => expect(await countWaiting()).toBe(1));
      bytes.delete(hash("in time"));
    });
    await settling;
    expect(bytes).toEqual(new Set([hash("in time")]));
    expect(await contact.readImage()).toMatchObject({ image: hash("in time") });
    expect(await findStandingImages(database.pool, [image("in time")])).toHaveLength(1);
  });
});

describe("an image that no row shows", () => {
  const removed: string[] = [];
  const remove = async (keepsHistory = false) => {
    removed.length = 0;
    const removeBytes = async (sha256: Buffer) => void removed.push(sha256.toString("hex").slice(0, 6));
    await removeUnusedImages(database.pool, { removeBytes, keepsHistory }, AbortSignal.timeout(60_000));
    return removed;
  };

  test("is removed after its contact was erased, unless another contact has it", async () => {
    const [one, two] = [await addContact(), await addContact()];
    for (const contact of [one, two]) {
      await contact.tell(present("/a"));
      await contact.settle("/a", taken("shared"));
    }
    await database.pool.query("delete from avatars.contacts where id = $1", [one.contactId]);
    expect(await remove()).not.toContain(hash("shared"));
    await database.pool.query("delete from avatars.contacts where id = $1", [two.contactId]);
    expect(await remove()).toContain(hash("shared"));
    expect(await remove()).toEqual([]);
  });

  test("is told apart from one that no trigger noted", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("noted"));
    await database.pool.query("delete from avatars.contacts where id = $1", [contact.contactId]);
    const { sha256 } = toImage("noted");
    expect(await findUnshownImages(database.pool, [sha256])).toEqual([{ sha256, isNoted: true }]);
    await database.pool.query("delete from avatars.images_unused where sha256 = $1", [sha256]);
    expect(await findUnshownImages(database.pool, [sha256])).toEqual([{ sha256, isNoted: false }]);
  });

  test("is kept with the history, where that is kept, and goes with it", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("old one"));
    await contact.tell(present("/b"));
    await contact.settle("/b", taken("new one"));
    expect(await remove(true)).not.toContain(hash("old one"));
    await database.pool.query("delete from avatars.avatar_changes where contact_id = $1", [
      contact.contactId,
    ]);
    expect(await remove(true)).toEqual([hash("old one")]);
  });

  test("is put again by who takes it while it is being removed", async () => {
    const [one, two] = [await addContact(), await addContact()];
    await one.tell(present("/a"));
    await one.settle("/a", taken("twin"));
    await two.tell(present("/a"));
    await one.tell(absent);
    const bytes = new Set([hash("twin")]);
    let settling: Promise<unknown> | undefined;
    await removeUnusedImages(
      database.pool,
      {
        keepsHistory: false,
        async removeBytes(sha256) {
          settling ??= settleImages(
            database.pool,
            [{ wanted: { contactId: two.contactId, version: "/a" }, settlement: taken("twin") }],
            async (images) => images.forEach((image) => bytes.add(image.sha256.toString("hex").slice(0, 6))),
          );
          bytes.delete(sha256.toString("hex").slice(0, 6));
        },
      },
      AbortSignal.timeout(60_000),
    );
    await settling;
    expect(bytes).toEqual(new Set([hash("twin")]));
    expect(await two.readImage()).toMatchObject({ image: hash("twin") });
  });
});

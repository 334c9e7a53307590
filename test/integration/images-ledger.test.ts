import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import { claimWantedImages } from "../../src/store/images/claim-wanted-images.ts";
import { findShownImages } from "../../src/store/images/find-shown-images.ts";
import { wantMissingImages } from "../../src/store/images/want-images.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import { addImageContact, hash, refused, taken, takenAt, toImage } from "../support/image-contacts.ts";
import {
  absent,
  ask,
  giveBack,
  hidden,
  paceSettings,
  present,
  readContact,
  readDatabaseNow,
  toChatId,
  toRecord,
} from "../support/ledger.ts";
import { openOutsider } from "../support/outsider.ts";
import { openTestDatabase, type TestDatabase } from "../support/test-database.ts";

let database: TestDatabase;
let ledger: RunLedger;

beforeAll(async () => {
  database = await openTestDatabase();
  ledger = createRunLedger(database, { ...paceSettings, keepsImages: true });
});
afterAll(async () => database.close());

const addContact = async () => addImageContact(database, ledger);

describe("an image", () => {
  test("is wanted with a new version, and its change is told when it is taken", async () => {
    const contact = await addContact();
    expect(await contact.tell(present("/a"))).toBe(true);
    expect(await contact.readImage()).toMatchObject({ image: null, is_wanted: true });
    expect(await contact.listChanges()).toEqual([]);

    expect(await contact.settle("/a", taken("A"))).toMatchObject({ taken: 1, sameImage: 0 });
    expect(await contact.readImage()).toMatchObject({
      image: hash("A"),
      image_version: "/a",
      image_at: takenAt,
      is_wanted: false,
      changes: 0,
    });
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`]);
    expect(await contact.tell(present("/a", "oe=2"))).toBe(false);
  });

  test("that is the same under another path is no change, and another one under the same path is", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("A"));
    expect(await contact.tell(present("/b"))).toBe(true);
    expect(await contact.settle("/b", taken("A"))).toMatchObject({ taken: 1, sameImage: 1 });
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`]);
    expect(await contact.readImage()).toMatchObject({ image_version: "/b", changes: 0 });

    expect(await contact.settle("/b", taken("B"))).toMatchObject({ taken: 1, otherImage: 1 });
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`, `${hash("A")}>${hash("B")}`]);
  });

  test("is told as it was before it is replaced, and stays shown until then", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("A"));
    await contact.tell(present("/b"));
    await contact.tell(present("/c"));
    expect(await contact.readImage()).toMatchObject({
      image: hash("A"),
      image_version: "/a",
      is_wanted: true,
    });
    // The row has moved on: what was taken of /b is for no one.
    expect(await contact.settle("/b", taken("B"))).toMatchObject({ taken: 0 });
    await contact.settle("/c", taken("C"));
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`, `${hash("A")}>${hash("C")}`]);
    expect(await contact.readImage()).toMatchObject({ changes: 1 });
  });

  test("is not wanted any more when the version before comes back", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("A"));
    await contact.tell(present("/b"));
    expect(await contact.tell(present("/a"))).toBe(false);
    expect(await contact.readImage()).toMatchObject({ image: hash("A"), is_wanted: false });
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`]);
  });

  test("that is refused leaves the last good one, tells the feed, and is tried again with another version only", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("A"));
    await contact.tell(present("/b"));
    await contact.settle("/b", refused("svg"));
    expect(await contact.readImage()).toMatchObject({
      image: hash("A"),
      image_version: "/a",
      image_error: "svg",
    });
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`, `${hash("A")}>/b`]);
    expect(await contact.tell(present("/b", "oe=3"))).toBe(false);
    expect(await contact.tell(present("/c"))).toBe(true);
  });

  test("whose URL was gone is tried again with another URL", async () => {
    const contact = await addContact();
    await contact.tell(present("/a", "oe=1"));
    await contact.settle("/a", refused("gone"));
    expect(await contact.tell(present("/a", "oe=1"))).toBe(false);
    expect(await contact.tell(present("/a", "oe=2"))).toBe(true);
    await contact.settle("/a", taken("A"));
    expect(await contact.readImage()).toMatchObject({
      image: hash("A"),
      image_error: null,
      image_attempts: 0,
    });
  });

  test.each(["host-not-allowed", "private-address", "not-https", "port-not-allowed"])(
    "that settings refused (%s) is tried again with each answer: they may be others by now",
    async (error) => {
      const contact = await addContact();
      await contact.tell(present("/a", "oe=1"));
      await contact.settle("/a", refused(error));
      expect(await contact.tell(present("/a", "oe=1"))).toBe(true);
    },
  );

  test.each(["redirect", "encoding"])(
    "whose host was at fault (%s) is tried again with another URL",
    async (error) => {
      const contact = await addContact();
      await contact.tell(present("/a", "oe=1"));
      await contact.settle("/a", refused(error));
      expect(await contact.tell(present("/a", "oe=1"))).toBe(false);
      expect(await contact.tell(present("/a", "oe=2"))).toBe(true);
    },
  );

  test("whose host failed is tried again at once with the next URL, and waits with the same", async () => {
    const contact = await addContact();
    const readWaitMs = async () => {
      const { rows } = await database.pool.query<{ ms: number }>(
        `select extract(epoch from image_wanted_at - clock_timestamp())::float8 * 1000 as ms
         from avatars.avatars where contact_id = $1`,
        [contact.contactId],
      );
      return rows[0]?.ms ?? 0;
    };
    await contact.tell(present("/a", "oe=1"));
    const hour = 3_600_000;
    await contact.settle("/a", { kind: "failed", error: "server-error", retryInMs: 6 * hour });
    expect(await contact.tell(present("/a", "oe=1"))).toBe(false);
    expect(await readWaitMs()).toBeGreaterThan(5 * hour);
    expect(await contact.tell(present("/a", "oe=2"))).toBe(true);
    expect(await readWaitMs()).toBeLessThan(hour);
    await contact.settle("/a", taken("A"));
    expect(await contact.readImage()).toMatchObject({ image: hash("A"), image_error: null });
  });

  test("whose URL has died while its host failed has its contact asked again, however often it had failed", async () => {
    const contact = await addContact();
    await contact.tell(present("/a", "oe=1"));
    for (let failures = 0; failures < 5; failures += 1)
      await contact.settle("/a", { kind: "failed", error: "connection", retryInMs: 0 });
    expect(await contact.settle("/a", { kind: "expired" })).toMatchObject({ asked: 1 });
    expect(await contact.readImage()).toMatchObject({ image_error: "expired", image_attempts: 1 });
    const { epoch } = await ask(ledger, contact.instanceId);
    const nowMs = await readDatabaseNow(database.pool);
    await ledger.saveLookups([toRecord(contact.contactId, epoch, nowMs, present("/a", "oe=2"))]);
    await contact.settle("/a", { kind: "failed", error: "connection", retryInMs: 0 });
    expect(await contact.readImage()).toMatchObject({ is_wanted: true, image_attempts: 1 });
  });

  test("whose URL has died has its contact asked again twice, at the last priority and without an attempt", async () => {
    const contact = await addContact();
    await contact.tell(present("/a", "oe=1"));
    for (const url of ["oe=2", "oe=3"]) {
      expect(await contact.settle("/a", { kind: "expired" })).toMatchObject({ asked: 1 });
      expect(await readContact(database.pool, contact.instanceId)).toMatchObject({
        is_due: true,
        priority: 2,
        wanted_at: null,
        last_error: null,
      });
      const asked = await ask(ledger, contact.instanceId);
      const nowMs = await readDatabaseNow(database.pool);
      const { imageWanted } = await ledger.saveLookups([
        toRecord(contact.contactId, asked.epoch, nowMs, present("/a", url)),
      ]);
      await giveBack(ledger, contact.instanceId, asked);
      expect([...imageWanted]).toEqual([contact.contactId]);
    }
    expect(await contact.settle("/a", { kind: "expired" })).toMatchObject({ asked: 0 });
    expect(await readContact(database.pool, contact.instanceId)).toMatchObject({ due_at: null });
    expect(await contact.readImage()).toMatchObject({ is_wanted: false, image_error: "expired" });
    // Told at last, though without an image.
    expect(await contact.listChanges()).toEqual([">/a"]);
  });

  test("whose URL has died stays wanted while another program holds its contact", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    const outsider = await openOutsider(database);
    await outsider.query("begin");
    await outsider.query("select avatars.enqueue($1, $2, max_age => '0')", [
      contact.instanceId,
      [toChatId(1)],
    ]);
    expect(await contact.settle("/a", { kind: "expired" })).toMatchObject({ asked: 0 });
    await outsider.close();
    expect(await contact.readImage()).toMatchObject({ is_wanted: true });
  });

  test("that failed is wanted later, and told of only then", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", { kind: "failed", error: "timeout", retryInMs: 0 });
    expect(await contact.readImage()).toMatchObject({
      is_wanted: true,
      image_attempts: 1,
      image_error: "timeout",
    });
    expect(await contact.listChanges()).toEqual([]);
    const wanted = await claimWantedImages(database.pool, 1_000);
    expect(wanted.filter(({ contactId }) => contactId === contact.contactId)).toMatchObject([
      { version: "/a", attempts: 1 },
    ]);
    // Claimed: no other process takes it for a minute.
    const others = await claimWantedImages(database.pool, 1_000);
    expect(others.filter(({ contactId }) => contactId === contact.contactId)).toEqual([]);
  });

  test("is hidden at once when the provider tells that there is none, and kept when it is hidden", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"));
    await contact.settle("/a", taken("A"));
    await contact.tell(hidden);
    expect((await findShownImages(database.pool, [contact.contactId])).get(contact.contactId)?.image).toEqual(
      toImage("A"),
    );
    await contact.tell(absent);
    expect((await findShownImages(database.pool, [contact.contactId])).get(contact.contactId)?.image).toBe(
      undefined,
    );
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`, `${hash("A")}>`]);
    expect(await contact.tell(present("/a"))).toBe(true);
    await contact.settle("/a", taken("A"));
    expect(await contact.listChanges()).toEqual([`>${hash("A")}`, `${hash("A")}>`, `>${hash("A")}`]);
  });

  test("that was never wanted is, once images are kept, and is no change then", async () => {
    const contact = await addContact();
    await contact.tell(present("/a"), createRunLedger(database, paceSettings));
    expect(await contact.listChanges()).toEqual([">/a"]);
    expect(await contact.readImage()).toMatchObject({ is_wanted: false });
    await wantMissingImages(database.pool, contact.contactId - 1);
    expect(await contact.readImage()).toMatchObject({ is_wanted: true });
    await contact.settle("/a", taken("A"));
    expect(await contact.listChanges()).toEqual([">/a"]);
  });
});

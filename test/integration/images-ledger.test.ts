import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ImageFacts } from "../../src/domain/images/image.ts";
import type { ImageSettlement } from "../../src/domain/images/image-taking.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import { claimWantedImages } from "../../src/store/images/claim-wanted-images.ts";
import { findShownImages } from "../../src/store/images/find-shown-images.ts";
import { removeUnusedImages } from "../../src/store/images/remove-unused-images.ts";
import { settleImages } from "../../src/store/images/settle-images.ts";
import { wantMissingImages } from "../../src/store/images/want-images.ts";
import { createRunLedger } from "../../src/store/work/run-ledger.ts";
import {
  absent,
  acceptContacts,
  addInstance,
  claim,
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

interface Contact {
  readonly instanceId: InstanceId;
  readonly contactId: number;
  /** Asks anew, and saves what is told. Returns whether its image is to be taken. */
  readonly tell: (decision: ContactDecision, by?: RunLedger) => Promise<boolean>;
  readonly settle: (version: string, settlement: ImageSettlement) => ReturnType<typeof settleImages>;
  readonly readImage: () => Promise<Record<string, unknown>>;
  /** Of each change, what it was from and to: the first letters of the hash of its image, or the version. */
  readonly listChanges: () => Promise<string[]>;
}

const toImage = (content: string): ImageFacts => ({
  sha256: createHash("sha256").update(content).digest(),
  type: "image/jpeg",
  bytes: content.length,
  width: 640,
  height: 640,
});
const takenAt = new Date("2026-11-01T10:00:00Z");
const taken = (content: string): ImageSettlement => ({ kind: "taken", image: toImage(content), at: takenAt });
const refused = (error: string): ImageSettlement => ({ kind: "refused", error });
const hash = (content: string) => toImage(content).sha256.toString("hex").slice(0, 6);

async function addContact(): Promise<Contact> {
  const instanceId = await addInstance(database);
  await acceptContacts(database.pool, instanceId, [toChatId(1)]);
  const { id: contactId } = await readContact(database.pool, instanceId);
  return {
    instanceId,
    contactId,
    async tell(decision, by = ledger) {
      await acceptContacts(database.pool, instanceId, [toChatId(1)]);
      const { runId } = await claim(by, instanceId);
      const nowMs = await readDatabaseNow(database.pool);
      const { imageWanted } = await by.saveLookups([toRecord(contactId, runId, nowMs, decision)]);
      return imageWanted.has(contactId);
    },
    settle: async (version, settlement) =>
      settleImages(database.pool, [{ wanted: { contactId, version }, settlement }], async () => {}),
    async readImage() {
      const { rows } = await database.pool.query<Record<string, unknown>>(
        `select left(encode(image_sha256, 'hex'), 6) as image, image_version, image_at, image_wanted_at is not null as is_wanted,
           image_attempts, image_error, changes from avatars.avatars where contact_id = $1`,
        [contactId],
      );
      return rows[0] ?? {};
    },
    async listChanges() {
      const { rows } = await database.pool.query<{ change: string }>(
        `select concat(coalesce(left(encode(from_sha256, 'hex'), 6), from_version), '>',
           coalesce(left(encode(to_sha256, 'hex'), 6), to_version)) as change
         from avatars.avatar_changes where contact_id = $1 order by id`,
        [contactId],
      );
      return rows.map(({ change }) => change);
    },
  };
}

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

  test("whose URL has died has its contact asked again twice, at the last priority and without an attempt", async () => {
    const contact = await addContact();
    await contact.tell(present("/a", "oe=1"));
    for (const url of ["oe=2", "oe=3"]) {
      expect(await contact.settle("/a", { kind: "expired" })).toMatchObject({ asked: 1 });
      expect(await readContact(database.pool, contact.instanceId)).toMatchObject({
        claimable: true,
        priority: 2,
        wanted_at: null,
        last_error: null,
      });
      const { runId } = await claim(ledger, contact.instanceId);
      const nowMs = await readDatabaseNow(database.pool);
      const { imageWanted } = await ledger.saveLookups([
        toRecord(contact.contactId, runId, nowMs, present("/a", url)),
      ]);
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

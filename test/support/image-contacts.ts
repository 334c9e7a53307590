import { createHash } from "node:crypto";
import type { ImageFacts } from "../../src/domain/images/image.ts";
import type { ImageSettlement } from "../../src/domain/images/image-taking.ts";
import type { InstanceId } from "../../src/domain/instance-id.ts";
import type { RunLedger } from "../../src/domain/ledger/run-ledger.ts";
import type { ContactDecision } from "../../src/domain/lookup/decide.ts";
import { settleImages } from "../../src/store/images/settle-images.ts";
import {
  acceptContacts,
  addInstance,
  ask,
  giveBack,
  readContact,
  readDatabaseNow,
  toChatId,
  toRecord,
} from "./ledger.ts";
import type { TestDatabase } from "./test-database.ts";

/** A contact of an instance of its own, whose image is told of, taken and looked at. */
export interface ImageContact {
  readonly instanceId: InstanceId;
  readonly contactId: number;
  /** Asks anew, and saves what is told. Returns whether its image is to be taken. */
  readonly tell: (decision: ContactDecision, by?: RunLedger) => Promise<boolean>;
  readonly settle: (version: string, settlement: ImageSettlement) => ReturnType<typeof settleImages>;
  readonly readImage: () => Promise<Record<string, unknown>>;
  /** Of each change, what it was from and to: the first letters of the hash of its image, or the version. */
  readonly listChanges: () => Promise<string[]>;
}

/** An image by what is in it. */
export const toImage = (content: string): ImageFacts => ({
  sha256: createHash("sha256").update(content).digest(),
  type: "image/jpeg",
  bytes: content.length,
  width: 640,
  height: 640,
});
export const takenAt = new Date("2026-11-01T10:00:00Z");
export const taken = (content: string): ImageSettlement => ({
  kind: "taken",
  image: toImage(content),
  at: takenAt,
});
export const refused = (error: string): ImageSettlement => ({ kind: "refused", error });
/** The first letters of the hash of an image. */
export const hash = (content: string) => toImage(content).sha256.toString("hex").slice(0, 6);

/** @param ledger by which answers are saved, unless told */
export async function addImageContact(database: TestDatabase, ledger: RunLedger): Promise<ImageContact> {
  const instanceId = await addInstance(database);
  await acceptContacts(database.pool, instanceId, [toChatId(1)]);
  const { id: contactId } = await readContact(database.pool, instanceId);
  return {
    instanceId,
    contactId,
    async tell(decision, by = ledger) {
      await acceptContacts(database.pool, instanceId, [toChatId(1)]);
      const asked = await ask(by, instanceId);
      const nowMs = await readDatabaseNow(database.pool);
      const { imageWanted } = await by.saveLookups([toRecord(contactId, asked.epoch, nowMs, decision)]);
      await giveBack(by, instanceId, asked);
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

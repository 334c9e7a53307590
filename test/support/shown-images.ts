import type pg from "pg";
import { toBlobKey } from "../../src/images/blobs/blob-key.ts";
import type { BlobStore } from "../../src/images/blobs/blob-store.ts";
import { findShownImages } from "../../src/store/images/find-shown-images.ts";

/** What a list would show of one contact that is stored as present. */
export interface ShownContact {
  readonly contactId: number;
  readonly chatId: string;
  /** As the last clear answer said. */
  readonly status: string;
  /** Of the stored avatar, as the last answer told it. */
  readonly version: string;
  /** The provider's URL: undefined where the answer had the picture itself. */
  readonly url: string | undefined;
  readonly urlHasExpired: boolean;
  /** The version that the shown image was taken for. */
  readonly imageVersion: string | undefined;
  /** Since when it is to be taken, ms; undefined: nothing is to be taken. */
  readonly wantedForMs: number | undefined;
  readonly imageError: string | undefined;
  /** What the address of the contact serves; undefined: nothing, or bytes that are lost. */
  readonly bytes: Buffer | undefined;
}

interface Row {
  readonly contact_id: number;
  /** Another one after each write. */
  readonly written: string;
  readonly chat_id: string;
  readonly status: string;
  readonly version: string;
  readonly url: string | null;
  readonly url_has_expired: boolean;
  readonly image_version: string | null;
  readonly wanted_for_ms: number | null;
  readonly image_error: string | null;
}

const sql = `
select a.contact_id::float8 as contact_id, a.xmin::text as written, c.chat_id, c.status::text as status, a.version, a.url,
  coalesce(a.url_expires_at <= clock_timestamp(), false) as url_has_expired, a.image_version, a.image_error,
  case when a.image_wanted_at is not null
    then extract(epoch from clock_timestamp() - a.version_at)::float8 * 1000 end as wanted_for_ms
from avatars.avatars a join avatars.contacts c on c.id = a.contact_id where a.version is not null`;

/** All contacts that have an avatar, as they are shown. Those whose row is written meanwhile are left out. */
export async function readShown(pool: pg.Pool, blobs: BlobStore): Promise<ShownContact[]> {
  const { rows } = await pool.query<Row>(sql);
  const shown = await findShownImages(
    pool,
    rows.map((row) => row.contact_id),
  );
  const contacts = await Promise.all(
    rows.map(async (row) => {
      const image = shown.get(row.contact_id)?.image;
      const blob = image && (await blobs.get(toBlobKey(image.sha256.toString("hex"))));
      return {
        contactId: row.contact_id,
        chatId: row.chat_id,
        status: row.status,
        version: row.version,
        url: row.url ?? undefined,
        urlHasExpired: row.url_has_expired,
        imageVersion: row.image_version ?? undefined,
        wantedForMs: row.wanted_for_ms ?? undefined,
        imageError: row.image_error ?? undefined,
        bytes: blob?.bytes,
      };
    }),
  );
  const { rows: later } = await pool.query<Row>(sql);
  const written = new Map(later.map((row) => [row.contact_id, row.written]));
  return contacts.filter(
    (_contact, index) => rows[index]?.written === written.get(rows[index]?.contact_id ?? 0),
  );
}

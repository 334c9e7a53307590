import type pg from "pg";
import type { ImageFacts, ImageType } from "../../domain/images/image.ts";

/** What the address of a contact shows. */
export interface ShownImage {
  readonly contactId: number;
  /** Undefined: there is none to show. */
  readonly image: ImageFacts | undefined;
}

interface ImageRow {
  contact_id: number;
  sha256: Buffer | null;
  type: ImageType;
  bytes: number;
  width: number;
  height: number;
}

/** By probes, one row each: the plan does not depend on statistics. */
const sql = `
select w.contact_id::float8 as contact_id, i.*
from unnest($1::bigint[]) as w (contact_id)
cross join lateral (select c.id from avatars.contacts c where c.id = w.contact_id offset 0) c
left join lateral (
  select i.sha256, i.type, i.bytes, i.width, i.height
  from avatars.avatars a join avatars.images i on i.sha256 = a.image_sha256
  where a.contact_id = w.contact_id offset 0
) i on true`;

/** Images that contacts show, by contact id; a contact that was erased, or never was, is not among them. */
export async function findShownImages(
  pool: pg.Pool,
  contactIds: readonly number[],
): Promise<Map<number, ShownImage>> {
  const { rows } = await pool.query<ImageRow>({ name: "find-shown-images", text: sql, values: [contactIds] });
  return new Map(
    rows.map(({ contact_id: contactId, sha256, ...facts }) => [
      contactId,
      { contactId, image: sha256 === null ? undefined : { sha256, ...facts } },
    ]),
  );
}

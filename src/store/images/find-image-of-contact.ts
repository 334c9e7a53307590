import type pg from "pg";
import type { ImageFacts } from "../../domain/images/image.ts";
import type { ImageOfContact } from "../../domain/images/image-of-contact.ts";

type Row = { [Name in keyof ImageFacts]: ImageFacts[Name] | null } & { readonly is_of_contact: boolean };

/** By probes: the contact's few changes, and the key of images. */
const sql = `
with changes as materialized (select from_sha256, to_sha256 from avatars.avatar_changes where contact_id = $1)
select exists (select from avatars.avatars a where a.contact_id = $1 and a.image_sha256 = $2)
    or exists (select from changes where from_sha256 = $2 or to_sha256 = $2) as is_of_contact,
  i.sha256, i.type, i.bytes, i.width, i.height
from (select) one
left join lateral (select * from avatars.images i where i.sha256 = $2 limit 1) i on true`;

/** Finds an image by its hash among those that the contact shows, or showed at a change that is still kept. */
export async function findImageOfContact(
  pool: pg.Pool,
  contactId: number,
  sha256: Buffer,
): Promise<ImageOfContact> {
  const { rows } = await pool.query<Row>(sql, [contactId, sha256]);
  const { is_of_contact: isOfContact, ...image } = rows[0] ?? { is_of_contact: false, sha256: null };
  if (!isOfContact) return { kind: "never" };
  return image.sha256 === null ? { kind: "gone" } : { kind: "kept", image: image as ImageFacts };
}

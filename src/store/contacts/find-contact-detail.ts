import type pg from "pg";
import type { ContactDetail, ImageTaking } from "../../domain/views/contact-detail.ts";
import { contactColumnsSql, contactJoinsSql, toContactView, type ContactRow } from "./contact-row.ts";

const sql = `
select ${contactColumnsSql}, c.due_at is not null as is_due, c.resync_run_id is not null as is_of_resync, c.refresh_step, c.is_listed,
  a.version is not null as has_picture, a.image_wanted_at, a.image_attempts, a.image_error
from avatars.contacts c ${contactJoinsSql}
where c.id = $1`;

type DetailRow = ContactRow & {
  readonly is_due: boolean;
  readonly is_of_resync: boolean;
  readonly refresh_step: number;
  readonly is_listed: boolean | null;
  readonly has_picture: boolean;
  readonly image_wanted_at: Date | null;
  readonly image_attempts: number | null;
  readonly image_error: string | null;
};

/**
 * Finds a contact by its id. Undefined: it was erased, or never was.
 * @param contactId a safe whole number
 */
export async function findContactDetail(
  pool: pg.Pool,
  contactId: number,
): Promise<ContactDetail | undefined> {
  const { rows } = await pool.query<DetailRow>({
    name: "find-contact-detail",
    text: sql,
    values: [contactId],
  });
  return rows[0] && toDetail(rows[0]);
}

function toDetail(row: DetailRow): ContactDetail {
  return {
    ...toContactView(row),
    schedule: {
      isDue: row.is_due,
      isOfResync: row.is_of_resync,
      refreshStep: row.refresh_step,
      isListed: row.is_listed ?? undefined,
    },
    imageTaking: row.has_picture ? toTaking(row) : undefined,
  };
}

function toTaking(row: DetailRow): ImageTaking {
  return {
    wantedAt: row.image_wanted_at ?? undefined,
    attempts: row.image_attempts ?? 0,
    error: row.image_error ?? undefined,
  };
}

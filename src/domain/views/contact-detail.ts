import type { ContactView } from "./contact-view.ts";

/** A contact with what becomes of it next. */
export interface ContactDetail extends ContactView {
  readonly schedule: ContactSchedule;
  readonly imageTaking: ImageTaking | undefined;
}

/** When a contact is asked next, as its row says. */
export interface ContactSchedule {
  /** It is to be asked, at `dueAt` of the contact; else it rests until then. */
  readonly isDue: boolean;
  /** A resync has made it due. */
  readonly isOfResync: boolean;
  /** The worth of its refresh, or its cause: refresh/refresh-step.ts. */
  readonly refreshStep: number;
  /** Is it in the list that the source query gave last? Undefined: it never was. */
  readonly isListed: boolean | undefined;
}

/** Where the taking of an avatar's image stands. Undefined beside a contact: it has no picture. */
export interface ImageTaking {
  /** When it is to be taken. Undefined: it is there, or was refused. */
  readonly wantedAt: Date | undefined;
  /** Tries in vain. */
  readonly attempts: number;
  /** Why the last try failed, or the image was refused: a code. */
  readonly error: string | undefined;
}

/** A contact's status, as stored and exported. The answers are kept apart; none of them is a guess. */
export const contactStatuses = ["present", "absent", "hidden", "invalid", "unreachable", "unknown"] as const;

export type ContactStatus = (typeof contactStatuses)[number];

/** A clear answer about the chat: it settles every request for the contact. */
export type ClearStatus = Exclude<ContactStatus, "unknown" | "unreachable">;

/** Is the status an answer, and not merely the lack of one? */
export function isClear(status: ContactStatus): status is ClearStatus {
  return status !== "unknown" && status !== "unreachable";
}

/** A contact's status, as stored and exported. The answers are kept apart; none of them is a guess. */
export const contactStatuses = ["present", "absent", "hidden", "invalid", "unreachable", "unknown"] as const;

export type ContactStatus = (typeof contactStatuses)[number];

/** A clear answer about the chat: it settles every request for the contact. */
export type ClearStatus = Exclude<ContactStatus, "unknown" | "unreachable">;

/** Is the status an answer, and not merely the lack of one? */
export function isClear(status: ContactStatus): status is ClearStatus {
  return status !== "unknown" && status !== "unreachable";
}

/** Each status in a few words for people. */
export const statusMeanings: Record<ContactStatus, string> = {
  present: "has an avatar",
  absent: "not set, or no WhatsApp account",
  hidden: "not shown to us: privacy, or not told",
  invalid: "not a chat the provider accepts",
  unreachable: "no clear answer after all attempts",
  unknown: "never asked",
};

/** The words of the audit log. */
export const auditTexts = {
  list: "Who did what",
  empty: "Nothing was done yet.",
  columns: { action: "What", who: "Who", subject: "To what", detail: "Facts", at: "When" },
} as const;

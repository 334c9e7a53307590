/** The words of the page of nights. */
export const nightTexts = {
  plan: "Plan of the next night",
  window: (from: string, until: string) => `From ${from} until ${until}.`,
  off: "Nights are switched off.",
  runs: "Nights so far",
  noRuns: "No night has been yet.",
  kinds: { night: "Night", trickle: "By day", manual: "Asked for" },
  columns: {
    due: "Due",
    fits: "Fit",
    left: "Left over",
    finishes: "Done at",
    stretch: "Stretch",
    opened: "Begun",
    planned: "Planned",
    asked: "Asked",
    changed: "New pictures",
  },
} as const;

import type { ResyncEnd } from "../../../domain/resync/resync-run.ts";

/** The words of the page of nights. */
export const nightTexts = {
  plan: "Plan of the next night",
  window: (from: string, until: string) => `From ${from} until ${until}.`,
  off: "Nights are switched off.",
  runs: "Nights so far",
  noRuns: "No night has been yet.",
  kinds: { night: "Night", trickle: "By day", manual: "Asked for" },
  sum: (due: string, fit: string) => `${due} contacts are due by its end, and ${fit} of them fit in.`,
  idle: (instances: string) => `Instances of which nothing is due: ${instances}.`,
  showAll: (instances: string) => `Show all ${instances} instances`,
  stretchHint:
    "Stretch is how late the latest contact is: × 1 in time, × 1.5 after one and a half times its interval.",
  fitting: (fit: string, due: string) => `${fit} of ${due} contacts fit in`,
  asked: (asked: string, planned: string) => `${asked} of ${planned} planned contacts asked`,
  unplanned: "not planned yet",
  open: "goes on",
  ends: {
    done: "nothing was left",
    "window-over": "the window was over",
    held: "the instance was held",
    paused: "the instance was paused",
    limit: "as many as were asked for",
    "next-night": "the next night began",
    manual: "it was asked for by hand",
    "switched-off": "nights were switched off",
  } satisfies Record<ResyncEnd, string>,
  columns: {
    share: "Fit of those due",
    left: "Left over",
    finishes: "Done at",
    stretch: "Stretch",
    opened: "Begun",
    done: "Done of the plan",
    changed: "New pictures",
    ended: "Ended because",
  },
} as const;

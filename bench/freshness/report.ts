import { describeMachine } from "../machine.ts";
import { toMarkdown, type Table } from "../table.ts";
import { findWay, type Outcomes } from "./compare.ts";
import type { Month, MonthOutcome } from "./month.ts";
import type { ScheduleName } from "./schedules.ts";
import { importDays, type Figures } from "./simulate.ts";

/** The policy is as it should be where it comes this far from round robin to what its knowledge allows. */
export const leastWay = 0.9;

export interface Section {
  readonly title: string;
  readonly table: Table;
}

const titles: Readonly<Record<ScheduleName, readonly [name: string, knows: string]>> = {
  roundRobin: ["1. round robin", "nothing"],
  policy: ["2. this policy", "changed or not, at each look"],
  policyWithUrls: ["2. this policy, URLs kept fresh", "the same"],
  knownRates: ["3a. optimum", "each contact's rate"],
  knownMix: ["4. informed guess", "changed or not, and the mix"],
};

/** What formulas say of the same contacts: freshness in the steady state. */
interface Formulas {
  readonly fixed: number;
  readonly random: number;
}

/** @param bounds of two periods, the first of which is for learning */
export function toMixTable(
  bounds: readonly number[],
  outcomes: Outcomes,
  { fixed, random }: Formulas,
): Table {
  const toRow = (name: ScheduleName) => {
    const [first, second] = outcomes[name] ?? [];
    const way = (goal: ScheduleName) => toPercent(findWay(outcomes, name, goal, 1), 1);
    const [title, knows] = titles[name];
    return [
      title,
      toPercent(second?.freshness),
      toPercent(first?.freshness),
      way("knownRates"),
      way("knownMix"),
      toPercent(second?.expired, 1),
      toPercent(second?.missing, 1),
      String((first?.calls ?? 0) + (second?.calls ?? 0)),
      second === undefined ? "–" : toPercent(second.callsForUrls / second.calls, 1),
      knows,
    ];
  };
  return {
    header: [
      "schedule",
      `freshness, ${toPeriod(bounds, 1)}`,
      toPeriod(bounds, 0),
      "way to 3a",
      "way to 4",
      "URLs expired",
      "images dead",
      "calls",
      "for URLs",
      "knows",
    ],
    rows: [
      ...(["roundRobin", "policy", "policyWithUrls", "knownRates"] as const).map(toRow),
      toFormula("3b. fixed intervals, by formula", fixed),
      toFormula("3c. random intervals, by formula", random),
      toRow("knownMix"),
    ],
  };
}

function toFormula(title: string, freshness: number): string[] {
  return [title, toPercent(freshness), "", "", "", "", "", "", "", "each contact's rate"];
}

export function toLongTable(bounds: readonly number[], outcomes: Outcomes): Table {
  const periods = [...bounds.slice(1).keys()];
  const names = ["roundRobin", "policy", "knownRates", "knownMix"] as const;
  const toWays = (name: ScheduleName, goal: ScheduleName) => [
    titles[name][0],
    ...periods.map((period) => toPercent(findWay(outcomes, name, goal, period), 1)),
    `way to ${titles[goal][0].split(".")[0]}`,
  ];
  return {
    header: ["schedule", ...periods.map((period) => toPeriod(bounds, period)), "what"],
    rows: [
      ...names.map((name) => [
        titles[name][0],
        ...periods.map((period) => toPercent(outcomes[name]?.[period]?.freshness)),
        "freshness",
      ]),
      toWays("policy", "knownRates"),
      toWays("knownMix", "knownRates"),
      toWays("policy", "knownMix"),
    ],
  };
}

/** What is shown of the same contacts by their URL, and by the address of their image. */
export function toMonthTable(outcomes: readonly MonthOutcome[], { contacts, days }: Month): Table {
  return {
    header: [
      `of ${contacts} contacts`,
      "calls there are a day",
      "shown dead",
      "shown of an older answer",
      "answer is right",
      "calls made a day",
      "for URLs",
      "what is shown",
    ],
    rows: outcomes.flatMap(({ callsPerDay = contacts / importDays, withUrls, withoutUrls }) => {
      const toRow = (name: string, figures: Figures, dead: number, behind: number, what: string) => [
        name,
        String(callsPerDay),
        toPercent(dead),
        toPercent(behind, 3),
        toPercent(figures.freshness),
        String(Math.round(figures.calls / days)),
        toPercent(figures.callsForUrls / figures.calls, 1),
        what,
      ];
      return [
        toRow("URLs, kept fresh", withUrls, withUrls.expired, 0, "the provider's URL"),
        toRow("URLs, left alone", withoutUrls, withoutUrls.expired, 0, "the provider's URL"),
        toRow("images", withoutUrls, withoutUrls.missing, withoutUrls.behind, "the image, from our address"),
      ];
    }),
  };
}

function toPeriod(bounds: readonly number[], period: number): string {
  return `days ${bounds[period]}–${bounds[period + 1]}`;
}

function toPercent(share: number | undefined, digits = 2): string {
  return share === undefined || Number.isNaN(share) ? "–" : `${(share * 100).toFixed(digits)} %`;
}

interface Run {
  readonly contacts: number;
  readonly days: number;
  readonly seed: number;
  readonly minutes: number;
}

export function toReport(sections: readonly Section[], { contacts, days, seed, minutes }: Run): string {
  const facts = describeMachine().map((fact) => `- ${fact}`);
  const tables = sections.map(({ title, table }) => `## ${title}\n\n${toMarkdown(table)}`);
  return `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes:

${facts.join("\n")}

Nothing is called and nothing waits: ${days} days are simulated, in steps of an hour, with seed ${seed}. ${contacts} contacts of one instance,
and calls for a tenth of them a day. Avatars change as Poisson processes; how often, differs from contact to contact, by the
mix that each table names, and a look tells only whether the avatar is another one than at the last look. All contacts were looked
at once in the ten days before, one after the other.

${tables.join("\n\n")}

- **freshness**: the share of contacts whose stored avatar is the right one, averaged over the time.
- **way to**: how far the schedule comes from round robin to that row, in freshness, in the same days. Target: this policy comes
  at least ${leastWay * 100} % of the way to 4. The 95 % of the way to 3a that it was once to reach are beyond whoever has
  to learn the rates by looking: see 4.
- **1**: whoever was looked at longest ago. **2**: \`planRefresh\` with the default settings, contacts taken in the product's order.
  **URLs kept fresh**: contacts whose URL is about to expire come before all others, but for a quarter of the calls, which is for
  those that are due by their age. To look at each URL in time would alone take twice all calls.
- **3a**: looks where it is worth most, with the true rates (Azar, Horvitz, Lubetzky, Peres, Shahaf, PNAS 2018). **3b**, a check
  on it: the best fixed intervals, in the steady state. **3c**: the best that the paper's closed form reaches, for looks at random
  moments; not the optimum, since even intervals do better.
- **4**: looks where it is worth most in the mean over what Bayes leaves of the true mix. Nobody knows that mix in production. It
  thinks of the next look only and does nothing to learn for later: a yardstick, not an upper bound.
- **URLs expired**: the share of stored URLs, in the later days; they live from 2 to 10 days, and each look brings a new one. A
  picture that is shown by such a URL is dead. **for URLs**: the share of the later days' calls that were made because a URL
  was about to expire.
- **images dead**: the share of contacts that showed none, in the later days, where each image is taken at once from the URL that
  a look has brought. One try in 20 fails, and for 6 hours of each week all of them do. **shown of an older answer**: because
  the image of the last answer was still to be taken; it is marked as old.

\`\`\`sh
npm run bench:freshness -- --write
npm run bench:freshness -- --mix heavy --contacts 10000 --seed 7
\`\`\`

The exit code is 1 when the policy misses its target, or an image is dead.
`;
}

import { describeMachine } from "../machine.ts";
import { mark, toMarkdown, type Table } from "../table.ts";
import type { ReadFigures } from "./measure-reads.ts";
import type { NightFigures, PlanningFigures } from "./measure-planning.ts";
import type { Size } from "./read-sizes.ts";
import type { Summary } from "./samples.ts";

export interface Results {
  readonly postgresVersion: string;
  readonly sharedBuffers: string;
  readonly contacts: number;
  readonly instances: number;
  readonly filledMs: number;
  readonly sizes: readonly Size[];
  readonly planning: readonly PlanningFigures[];
  readonly night: NightFigures;
  /** The next one, after refreshes that no vacuum has followed. */
  readonly openedAgainMs: number;
  readonly reads: readonly ReadFigures[];
}

const targetReadMs = 5;
const targetPlanMs = 5_000;

export function toTables(results: Results): Table[] {
  return [toReadTable(results), toPlanningTable(results), toNightTable(results), toSizeTable(results)];
}

function toReadTable({ reads }: Results): Table {
  return {
    header: [
      "reads",
      "number",
      "a second",
      "contacts",
      "p50",
      "p99",
      "max",
      "`select 1`: p50",
      "p99",
      "max",
      "saves: p50",
      "p99",
      "releases: p50",
      "p99",
      "target",
    ],
    rows: reads.map(({ name, seconds, reads, found, noise, saves, releases }) => [
      name,
      String(reads.count),
      (reads.count / seconds).toFixed(0),
      String(found),
      ...toCells(reads),
      ...toCells(noise),
      ...toCells(saves).slice(0, 2),
      ...(releases ? toCells(releases).slice(0, 2) : ["–", "–"]),
      mark(reads.p99Ms <= targetReadMs),
    ]),
  };
}

function toCells({ p50Ms, p99Ms, maxMs }: Summary): string[] {
  return [p50Ms, p99Ms, maxMs].map((ms) => `${ms.toFixed(1)} ms`);
}

function toPlanningTable({ planning }: Results): Table {
  return {
    header: [
      "the plan of a night",
      "due now",
      "pages not all visible",
      "counting: best",
      "worst of 3",
      "whole plan: best",
      "worst of 3",
      "target",
    ],
    rows: planning.map(({ name, due, unseenShare, counts, plans }) => [
      name,
      String(due),
      `${(unseenShare * 100).toFixed(0)} %`,
      ...[counts.minMs, counts.maxMs, plans.minMs, plans.maxMs].map(toSeconds),
      mark(plans.maxMs <= targetPlanMs),
    ]),
  };
}

function toNightTable({ night, openedAgainMs, instances }: Results): Table {
  return {
    header: ["a night", "number", "p50", "p99", "max", ""],
    rows: [
      [
        "opened: a run for each instance, and an end to the one before",
        String(instances),
        "",
        "",
        toSeconds(night.openedMs),
        "",
      ],
      [
        "the next one opened, with no vacuum before it",
        String(instances),
        "",
        "",
        toSeconds(openedAgainMs),
        "",
      ],
      ["prepared: planned and written down", "1", "", "", toSeconds(night.preparedMs), ""],
      [
        `first releases, ${Math.round(night.released / night.releases.count)} contacts each, alone`,
        String(night.releases.count),
        ...toCells(night.releases),
        "",
      ],
    ],
  };
}

function toSizeTable({ sizes, contacts }: Results): Table {
  const rows = sizes.map(({ name, isIndex, bytes }) => [
    `\`${name}\``,
    `${(bytes / 2 ** 20).toFixed(0)} MB`,
    (bytes / contacts).toFixed(0),
    isIndex ? "index" : "table",
  ]);
  return { header: ["on disk", "size", "bytes per contact", "kind"], rows };
}

function toSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

export function toVerdict({ reads, planning }: Results): {
  readonly text: string;
  readonly failed: boolean;
} {
  const slowest = Math.max(...reads.map(({ reads }) => reads.p99Ms));
  const noise = Math.max(...reads.map(({ noise }) => noise.p99Ms));
  const longest = Math.max(...planning.map(({ plans }) => plans.maxMs));
  const isQuick = slowest <= targetReadMs;
  const isPlanned = longest <= targetPlanMs;
  return {
    text: [
      `p99 of a read: ${slowest.toFixed(1)} ms at most, where that of \`select 1\` is ${noise.toFixed(1)} ms; target: at most ${targetReadMs} ms: ${mark(isQuick)}.`,
      `The plan of a night: ${toSeconds(longest)} at most; target: at most ${toSeconds(targetPlanMs)}: ${mark(isPlanned)}.`,
    ].join("\n"),
    failed: !isQuick || !isPlanned,
  };
}

export function toReport(results: Results, minutes: number): string {
  const { contacts, instances, postgresVersion, sharedBuffers, filledMs } = results;
  const facts = [
    ...describeMachine(),
    `Postgres ${postgresVersion} (embedded, shared_buffers ${sharedBuffers})`,
  ];
  return `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes, of which ${Math.round(filledMs / 60_000)} to fill the tables:

${facts.map((fact) => `- ${fact}`).join("\n")}

${contacts} contacts of ${instances} instances, in no order on disk: 70 % present, 15 % absent, 10 % hidden, 3 % invalid, 2 % unreachable, with
some twenty steps of intervals, a quarter of all due by their URL before that, a fifth of all due now. Measured one after the
other, on one machine with Postgres: the plan of a night right after a vacuum; the night opened, prepared, and its first
contacts released; reads with nothing beside; reads of all instances side by side, each for the next 600 ms of calls, which
have their answers 80 ms later and are saved as workers do, while releases, the sweep, gauges, backlog and activity go on at
their rates; and the plan again after refreshes that no vacuum has followed. Nobody is called. Times are those of the caller, in
one Node.js process, so that they include its waiting for a core and for a connection; \`select 1\` does too, every 10 ms beside.

${toTables(results).map(toMarkdown).join("\n\n")}

${toVerdict(results).text.replaceAll("\n", "\n\n")}

- **counting**: \`countRefreshes\` of all instances; **whole plan**: that and the backlog and the instances, on three connections.
- **pages not all visible**: of the table of contacts, for which an index alone does not suffice.
- Indexes other than primary keys were made when the table was full: with time they grow by up to a half.

\`\`\`sh
npm run bench:resync -- --write
npm run bench:resync -- --contacts 1000000 --seconds 20
\`\`\`

It needs Linux, the embedded Postgres and some 8 GB of disk, which it gives back. The exit code is 1 when a target is missed.
`;
}

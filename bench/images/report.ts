import { describeMachine } from "../machine.ts";
import type { Figures } from "../measure.ts";
import { mark, toMarkdown, type Table } from "../table.ts";
import type { CallsFigures } from "./measure-calls.ts";
import type { Serving } from "./measure-serving.ts";
import { inFlight, type TakingFigures } from "./measure-taking.ts";

const mostRssMb = 200;
const leastShare = 0.5;
/** Of the budget. */
const mostLoss = 0.005;

/** One part of the benchmark: its table, and its targets in words. */
export interface Section {
  readonly title: string;
  readonly table: Table;
  readonly verdicts: readonly Verdict[];
}

interface Verdict {
  readonly text: string;
  readonly isMet: boolean;
}

export function toTakingSection(rows: readonly TakingFigures[]): Section {
  const header = [
    "pictures",
    "taken",
    "refused",
    "to be tried again",
    "a second",
    "worker CPU each",
    "Postgres CPU each",
    "most in flight",
    "most RSS",
    "target",
  ];
  const isMet = ({ peakRssMb }: TakingFigures) => peakRssMb <= mostRssMb;
  const inFlightOfRows = rows.map(({ peakInFlight }) => peakInFlight);
  const [least, most] = [Math.min(...inFlightOfRows), Math.max(...inFlightOfRows)];
  return {
    title: "Taking",
    table: {
      header,
      rows: rows.map((figures) => [
        figures.row.name,
        String(figures.taken),
        String(figures.refused),
        String(figures.failed),
        ((figures.taken + figures.refused + figures.failed) / figures.seconds).toFixed(0),
        toMs(figures.cpuMs),
        toMs(figures.postgresCpuMs),
        String(figures.peakInFlight),
        `${figures.peakRssMb.toFixed(0)} MB`,
        mark(isMet(figures)),
      ]),
    },
    verdicts: [
      {
        text: `RSS of a worker, at any time: ${Math.max(...rows.map(({ peakRssMb }) => peakRssMb)).toFixed(0)} MB; target: at most ${mostRssMb} MB`,
        isMet: rows.every(isMet),
      },
      {
        text: `in flight: at most ${most}, and ${least} in the row with the fewest; target: at least ${inFlight} in some row`,
        isMet: most >= inFlight,
      },
    ],
  };
}

export function toServingSection({ figures, share, originalBytes, peakRssMb }: Serving): Section {
  return {
    title: "Serving",
    table: {
      header: ["what", "requests", "a second", "CPU each", "MB a second", "answers"],
      rows: figures.map(({ name, load }) => [
        name,
        String(load.requests),
        load.perSecond.toFixed(0),
        toMs(load.cpuMs),
        ((load.bytes / load.requests) * (load.perSecond / 1e6)).toFixed(0),
        [...load.statuses].map(([status, count]) => `${count} × ${status}`).join(", "),
      ]),
    },
    verdicts: [
      {
        text: `one original of ${originalBytes} bytes: ${toPercent(share)} of the requests that @fastify/static serves of the same file; target: at least ${toPercent(leastShare)}`,
        isMet: share >= leastShare,
      },
      {
        text: `all answers are 200; RSS of the API at most ${peakRssMb.toFixed(0)} MB`,
        isMet: areAllGood(figures),
      },
    ],
  };
}

function areAllGood(figures: Serving["figures"]): boolean {
  return figures.every(({ load: { statuses, requests } }) => statuses.get(200) === requests);
}

export function toCallsSection({ without, with: withImages, loss }: CallsFigures): Section {
  const toRow = (
    name: string,
    { share, lowestShare, calls, refused, workers, idle, simulatorLagMs: lag }: Figures,
  ) => [
    name,
    toPercent(share, 2),
    toPercent(lowestShare, 1),
    String(calls),
    String(refused),
    toPercent(workers.cpu),
    `${workers.rssMb.toFixed(0)} MB`,
    toPercent(idle),
    toMs(lag.p99),
    toMs(lag.max),
  ];
  return {
    title: "Calls beside it",
    table: {
      header: [
        "import",
        "budget used",
        "lowest",
        "calls",
        "429s",
        "worker CPU",
        "RSS",
        "idle",
        "lag p99",
        "lag max",
      ],
      rows: without.flatMap((figures, round) => [
        toRow("without images", figures),
        ...withImages.slice(round, round + 1).map((one) => toRow("with images", one)),
      ]),
    },
    verdicts: [
      {
        text: `budget used with images less than without, on average: ${toPercent(loss, 2)} of it; target: at most ${toPercent(mostLoss, 1)}`,
        isMet: loss <= mostLoss,
      },
    ],
  };
}

export function toVerdictText({ verdicts }: Section): string {
  return verdicts.map(({ text, isMet }) => `${text}: ${mark(isMet)}.`).join("\n\n");
}

function toMs(ms: number): string {
  return `${ms.toFixed(2)} ms`;
}

function toPercent(share: number, digits = 0): string {
  return `${(share * 100).toFixed(digits)} %`;
}

interface Run {
  readonly minutes: number;
  readonly seconds: number;
  readonly postgresVersion: string;
}

export function toReport(sections: readonly Section[], { minutes, seconds, postgresVersion }: Run): string {
  const facts = [...describeMachine(), `Postgres ${postgresVersion} (embedded)`].map((fact) => `- ${fact}`);
  const parts = sections.map(
    (section) => `## ${section.title}\n\n${toMarkdown(section.table)}\n\n${toVerdictText(section)}`,
  );
  return `Measured on ${new Date().toISOString().slice(0, 10)}, in ${minutes} minutes:

${facts.join("\n")}

The simulator serves pictures as WhatsApp's CDN does: JPEG, PNG and WebP of 640 and 96 pixels, 8 hosts by name. Images are kept in
a folder, durably. Worker, API, Postgres, simulator and who asks share the machine.

${parts.join("\n\n")}

- **Taking**: contacts whose URLs are known, and a worker (\`avatars worker\`) that keeps images from now on. Each image is fetched,
  looked through, hashed, written and linked. **CPU each**: user and system time, for each image that was tried. **most RSS**: the
  worker's, from its start to the end.
- **Serving**: \`GET /i/…\` at \`avatars serve\`, 32 connections, each asks again when it has read its answer. **one original**:
  always the same contact, whose image is of the median size, by turns with \`@fastify/static\` and the same file in the same
  folder, ${seconds} s each. **cold**: sizes that nobody has asked for so far, each once; **warm**: those that are kept.
- **Calls beside it**: as \`bench:budget\`, 20 × 1 unless told otherwise, by turns with \`AVATARS_IMAGES=off\` and with a folder. Pictures
  come from a simulator of their own, as WhatsApp's CDN is not GREEN-API: who draws them would stamp calls too late. **lag**: how late
  the one ran that is called.

\`\`\`sh
npm run bench:images -- --write
npm run bench:images -- --only taking,serving --contacts 1000 --seconds 3
\`\`\`

It needs what \`bench:budget\` needs. The exit code is 1 when a target is missed.
`;
}

import { judge, type Target } from "./judge.ts";
import type { Figures } from "./measure.ts";
import type { Table } from "./table.ts";

const header = [
  "budget used",
  "lowest",
  "calls",
  "429s",
  "most in 1 s",
  "worker CPU",
  "µs per call",
  "RSS MB",
  "largest",
  "Postgres CPU",
  "Redis CPU",
  "simulator CPU",
  "lag p99",
  "lag max",
  "idle",
  "target",
];

/** @param target undefined: there is none, the rows are for comparison */
export function toTable(title: string, rows: readonly Figures[], target: Target | undefined): Table {
  return { header: [title, ...header], rows: rows.map((row) => toCells(row, target)) };
}

function toCells(figures: Figures, target: Target | undefined): string[] {
  const { workers, simulatorLagMs, calls } = figures;
  return [
    figures.name,
    toPercent(figures.share, 1),
    toPercent(figures.lowestShare, 1),
    String(calls),
    String(figures.refused),
    String(figures.maxCallsInAnySecond),
    toPercent(workers.cpu),
    calls === 0 ? "–" : String(Math.round((workers.cpu * figures.seconds * 1e6) / calls)),
    workers.rssMb.toFixed(0),
    workers.maxRssMb.toFixed(0),
    toPercent(figures.postgresCpu),
    toPercent(figures.redisCpu),
    toPercent(figures.simulatorCpu),
    `${simulatorLagMs.p99.toFixed(1)} ms`,
    `${simulatorLagMs.max.toFixed(1)} ms`,
    toPercent(figures.idle),
    target === undefined ? "–" : judge(figures, target).text,
  ];
}

function toPercent(share: number, digits = 0): string {
  return `${(share * 100).toFixed(digits)} %`;
}

/** What the columns mean, for the file of results. */
export const columns = `- **budget used**: accepted calls in relation to 10 per second and instance, which is what a strict sliding second allows;
  **lowest**: the same of the instance that got least.
- **calls**: those that arrived at the simulator, **429s**: those of them that it refused, **most in 1 s**: the most that
  arrived within any sliding second for one instance, refused ones included; 10 is the limit.
- **worker CPU**: user and system time of all worker processes, where 100 % is one core; **µs per call**: the same for each
  call. **RSS MB**: of all worker processes together at the end, **largest**: of the largest one.
- **Postgres CPU**, **Redis CPU**, **simulator CPU**: in the same unit; Postgres with all its processes.
- **lag**: how late the simulator's event loop ran. It stamps a call as soon as it sees it: calls may look closer together
  or further apart than they were sent by so much.
- **idle**: of all cores, with everything running on this machine.
- **target**: whether share and 429s reach it; a started lot of calls may have its one 429. \`no CPU left\`: missed, with
  less than 10 % idle, or with the simulator at the end of its core; **others**: what else ran, the system included.`;

// npm run bench:resync: reads, releases and the plan of a night with ten million contacts.
import { parseArgs } from "node:util";
import { readConfig } from "../src/config.ts";
import type { InstanceId } from "../src/domain/instance-id.ts";
import type { Base } from "../src/app/base.ts";
import { readOptionsOrExit, toNumber } from "./options.ts";
import { fill } from "./resync/fill.ts";
import { measureReads, measureReadsAlone, type ReadFigures } from "./resync/measure-reads.ts";
import { measureNight, measurePlanning, openNextNight, refreshMany } from "./resync/measure-planning.ts";
import { readSizes } from "./resync/read-sizes.ts";
import { toReport, toTables, toVerdict, type Results } from "./resync/report.ts";
import { openStage } from "./resync/stage.ts";
import { runBench, type Bench } from "./run-bench.ts";
import { openServers, toInstanceIds } from "./servers.ts";
import { toText } from "./table.ts";
import { resultsFile, writeResults } from "./write-results.ts";

const usage = `npm run bench:resync -- [options]
  --contacts NUMBER   rows of the table of contacts (default: 10000000, some 6 GB for the time of the benchmark)
  --instances NUMBER  they belong to (default: 200)
  --seconds NUMBER    how long reads are measured, for each row (default: 60)
  --write             also write bench/RESULTS.md
Its data is in the folder for temporary files, and removed at the end.
`;

interface Options {
  readonly contacts: number;
  readonly instances: number;
  readonly seconds: number;
  readonly write: boolean;
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      contacts: { type: "string", default: "10000000" },
      instances: { type: "string", default: "200" },
      seconds: { type: "string", default: "60" },
      write: { type: "boolean", default: false },
    },
  });
  return {
    contacts: toNumber("--contacts", values.contacts, 10_000, 50_000_000),
    instances: toNumber("--instances", values.instances, 1, 1_000),
    seconds: toNumber("--seconds", values.seconds, 1, 3_600),
    write: values.write,
  };
}

/** A sixth of the machine's memory, and less than the tables take. */
const sharedBuffers = "4GB";
/** Nobody calls it. */
const apiUrl = "http://127.0.0.1:9";
const readsAlone = 2_000;
/** This share of the contacts has been refreshed when the plan is measured again. */
const refreshedShare = 0.05;

async function main(options: Options, bench: Bench): Promise<number> {
  const startedMs = performance.now();
  const servers = await openServers(bench.closer, bench.signal, sharedBuffers);
  const instanceIds = toInstanceIds(options.instances);
  const scene = await servers.openScene({ backend: "postgres", instanceIds, apiUrl });
  bench.closer.add("scene", () => scene.close());
  // `openBase` would look for the migrations beside the command; no more of it is needed here than these.
  const config = readConfig(scene.env);
  const base = { config, databaseUrl: scene.env["DATABASE_URL"], closer: bench.closer } as Base;
  const filledMs = await fill({ url: base.databaseUrl, contacts: options.contacts, instanceIds });
  bench.note(`filled in ${(filledMs / 1000).toFixed(0)} s`);
  await scene.client.query("create extension pg_visibility");
  const sizes = await readSizes(scene.client);

  const stage = await openStage(base, instanceIds as InstanceId[]);
  const noted = async <T>(name: string, work: Promise<T>): Promise<T> => {
    const result = await work;
    bench.note(`${name}: ${JSON.stringify(result)}`);
    return result;
  };
  const planned = await noted("plan", measurePlanning(stage, "after a vacuum"));
  const night = await noted("night", measureNight(stage));
  const reads: ReadFigures[] = [await noted("reads", measureReadsAlone(stage, readsAlone))];
  for (const [name, share] of [
    ["by day: 0.3 of the rate", 0.3],
    ["at night: the full rate", 1],
  ] as const)
    reads.push(await noted("reads", measureReads(stage, { name, share, seconds: options.seconds }, bench)));
  // The worst case: vacuum never came.
  await scene.client.query("alter table avatars.contacts set (autovacuum_enabled = off)");
  const refreshed = await refreshMany(stage, options.contacts * refreshedShare);
  const plannedAgain = await noted(
    "plan",
    measurePlanning(stage, `with ${refreshed} more refreshed, and no vacuum`),
  );
  const openedAgainMs = await noted("next night", openNextNight(stage));
  const results: Results = {
    postgresVersion: servers.postgres.version,
    sharedBuffers,
    contacts: options.contacts,
    instances: options.instances,
    filledMs,
    sizes,
    planning: [planned, plannedAgain],
    night,
    openedAgainMs,
    reads,
  };
  console.log(toTables(results).map(toText).join("\n\n"));
  const verdict = toVerdict(results);
  console.log(`\n${verdict.text}`);
  if (options.write) {
    const minutes = Math.ceil((performance.now() - startedMs) / 60_000);
    await writeResults("bench:resync", toReport(results, minutes));
    bench.note(`written: ${resultsFile}`);
  }
  return verdict.failed ? 1 : 0;
}

const options = readOptionsOrExit(usage, readOptions);
await runBench(async (bench) => main(options, bench));

// graphile-worker, tuned well: jobs fetched by the thousand into its local queue, completed and written by the batch.
import { Logger, run } from "graphile-worker";
import pg from "pg";
import { Pool } from "undici";
import { readAlternativeOptions, taskName, type LookupJob } from "./alternative-options.ts";
import { createBatchedUpsert } from "./batched-upsert.ts";
import { connections, lookUp } from "./look-up.ts";

const { databaseUrl, apiUrl } = readAlternativeOptions();
const concurrentJobs = 300;

const database = new pg.Pool({ connectionString: databaseUrl, max: 10 });
const provider = new Pool(apiUrl, { connections });
const { save } = createBatchedUpsert(database, { mostRows: 100, lingerMs: 10 });

await run({
  pgPool: database,
  noHandleSignals: true,
  preset: {
    worker: {
      concurrentJobs,
      maxPoolSize: 10,
      localQueue: { size: 1_000 },
      completeJobBatchDelay: 5,
      failJobBatchDelay: 5,
      // A line for each job otherwise.
      logger: new Logger(() => () => undefined),
    },
  },
  taskList: {
    [taskName]: async (payload) => {
      await save(await lookUp(provider, (payload as LookupJob).chatId));
    },
  },
});

import type { MissingPart } from "../http/routes/service.ts";
import { settleWithin } from "../lib/deadline.ts";
import { UserError } from "../lib/errors.ts";
import type { Database } from "../store/postgres/database.ts";
import { assertMigrated } from "../store/postgres/migrate.ts";
import type { Door } from "./subjects/door.ts";

const readinessDeadlineMs = 2_000;

/** Finds the parts that are missing before requests can be served; none: ready. Never rejects. */
export async function findMissing({
  quick: { pool },
  getQueues,
}: Pick<Door, "quick" | "getQueues">): Promise<readonly MissingPart[]> {
  const [ofDatabase, ofQueue] = await Promise.all([
    within(findMissingTables(pool), {
      name: "postgres",
      detail: "Postgres does not answer",
      isDegraded: false,
    }),
    within(findMissingQueue(getQueues), {
      name: "queue",
      detail:
        "the queue does not answer: contacts are taken in all the same, and calls begin some seconds later",
      isDegraded: true,
    }),
  ]);
  return [ofDatabase, ofQueue].filter((part) => part !== undefined);
}

/** The finding of a check; where it fails, or takes too long, `otherwise`. */
async function within(
  check: Promise<MissingPart | undefined>,
  otherwise: MissingPart,
): Promise<MissingPart | undefined> {
  try {
    return (await settleWithin(check, readinessDeadlineMs)) ? await check : otherwise;
  } catch {
    return otherwise;
  }
}

/** Does the queue answer, in time? Never rejects. */
export async function isQueueReachable({ getQueues }: Pick<Door, "getQueues">): Promise<boolean> {
  const check = findMissingQueue(getQueues);
  return settleWithin(check, readinessDeadlineMs).catch(() => false);
}

async function findMissingTables(pool: Database["pool"]): Promise<MissingPart | undefined> {
  try {
    await assertMigrated(pool);
    return undefined;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { name: "migrations", detail: error.message, isDegraded: false };
  }
}

async function findMissingQueue(getQueues: Door["getQueues"]): Promise<undefined> {
  const queues = await getQueues();
  if (!(await queues.isReachable())) throw new Error("the queue does not answer");
}

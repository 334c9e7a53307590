import type { NightlySource } from "../config.ts";
import { simulatedInstanceId, type InstanceId } from "../domain/instance-id.ts";
import type { SourceOutcome } from "../domain/resync/resync-run.ts";
import { sleep } from "../lib/deadline.ts";
import { UserError } from "../lib/errors.ts";
import type { Base } from "./base.ts";
import { readSource } from "./read-source.ts";
import { isTransient, type Database } from "../store/postgres/database.ts";
import { listInstances } from "../store/instances/instances.ts";
import { openSourceSync, type SourceSync } from "../store/resync/sync-source.ts";
import { withClient } from "../store/postgres/with-client.ts";

/** A source that is away for a moment must not cost a night its new contacts. */
const retryPausesMs = [10_000, 60_000];
/** A source that gives a few rows now and then must not keep a night from beginning. */
const wholeMs = 3_600_000;
/** Our own database must not keep it either, where only this goes wrong there. */
const patienceMs = 600_000;
/** Named in the log. */
const mostRowsNamed = 20;

/** The outcome so far; a try that fails leaves what it has committed. */
interface Progress {
  added: number;
  gone: number;
  rejected: number;
  rejectedRows: number[];
}

/**
 * Brings the contacts of the configured query in. A source that fails is told of, and the night goes on without it. Where our
 * own database is away, or this process stops, it rejects, and the night waits.
 * @param database of the ledger
 * @returns a function that takes the moment of the night and a signal, which is aborted when this process stops
 */
export function createNightSource(
  { config, events }: Pick<Base, "config" | "events">,
  database: Database,
): (now: Date, signal: AbortSignal) => Promise<SourceOutcome | undefined> {
  const { source } = config.resync;
  if (source === undefined) return async () => undefined;

  let failingSince: number | undefined;

  return async (now, signal) => {
    const progress: Progress = { added: 0, gone: 0, rejected: 0, rejectedRows: [] };
    const deadline = AbortSignal.timeout(wholeMs);
    const within = AbortSignal.any([signal, deadline]);
    for (let tries = 0; ; tries += 1) {
      try {
        const instanceId = await findInstance(database, source.instanceId);
        await withClient(database.pool, async (client) => {
          const sync = await openSourceSync(client, instanceId, now);
          await read(source, sync, progress, within);
          if (source.stopsGone) progress.gone = await sync.stopGone();
          await sync.close();
        });
        failingSince = undefined;
        events.sourceRead({ ...progress });
        return toOutcome(progress);
      } catch (error) {
        // Another process goes on with the night, or this one when it starts again.
        if (signal.aborted) throw error;
        if (deadline.aborted) {
          const text =
            "the source query was at work for an hour: make it faster, or run it by avatars import";
          events.sourceFailed({ code: "source-too-slow", text, willRetry: false });
          return toOutcome(progress, "source-too-slow");
        }
        if (!(error instanceof UserError)) {
          failingSince ??= performance.now();
          if (isTransient(error) && performance.now() - failingSince < patienceMs) throw error;
          events.ledgerFailed({ where: "sync source" }, error);
          return toOutcome(progress, "internal");
        }
        const pauseMs = error.retryable ? retryPausesMs[tries] : undefined;
        events.sourceFailed({ code: error.code, text: error.message, willRetry: pauseMs !== undefined });
        if (pauseMs === undefined) return toOutcome(progress, error.code);
        await sleep(pauseMs, signal);
      }
    }
  };
}

async function read(
  from: NightlySource,
  sync: SourceSync,
  progress: Progress,
  within: AbortSignal,
): Promise<void> {
  progress.rejected = 0;
  progress.rejectedRows = [];
  const { url, query, fetchMs, defaultCountry } = from;
  const records = readSource({
    url,
    query,
    fetchMs,
    signal: within,
    ...(defaultCountry && { defaultCountry }),
  });
  for await (const chunk of records) {
    const contacts = chunk.filter((record) => record.kind === "contact");
    progress.added += await sync.add(contacts);
    for (const { kind, position } of chunk) {
      if (kind === "contact") continue;
      progress.rejected += 1;
      if (progress.rejectedRows.length < mostRowsNamed) progress.rejectedRows.push(position);
    }
  }
}

function toOutcome({ added, gone, rejected }: Progress, error?: string): SourceOutcome {
  return { added, gone, rejected, error };
}

/** @throws UserError `unknown-instance`, `no-instance`, `several-instances` */
async function findInstance(database: Database, asked: InstanceId | undefined): Promise<InstanceId> {
  const ids = (await listInstances(database)).map(({ id }) => id).filter((id) => id !== simulatedInstanceId);
  const wanted = asked === undefined ? ids : ids.filter((id) => id === asked);
  const [only, ...others] = wanted;
  if (only !== undefined && others.length === 0) return only;
  if (asked !== undefined) {
    throw new UserError("unknown-instance", `AVATARS_SOURCE_INSTANCE: there is no instance ${asked}`);
  }
  throw only === undefined
    ? new UserError("no-instance", "there is no GREEN-API instance yet: run avatars instance add")
    : new UserError("several-instances", `there are ${ids.length} instances: set AVATARS_SOURCE_INSTANCE`);
}

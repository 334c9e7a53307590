import { openApp } from "../../app/app.ts";
import type { BatchProgress } from "../../domain/views/batch-progress.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { readConfig } from "../../config.ts";
import { assertDistinctFiles } from "./file-names.ts";
import { chooseImportSource, type ImportSourceOptions } from "./import-source.ts";
import { exitCodes, toStoppedCode, writeHint, writeJson, writeLine, type CommandIo } from "../terminal/io.ts";
import { describeReading } from "./reading-words.ts";
import { readIntoBatch } from "./read-into-batch.ts";
import { resolveInstance } from "../instance/resolve-instance.ts";
import { toCounted } from "../terminal/counted.ts";

export interface ImportBatchOptions extends ImportSourceOptions {
  readonly priority: number;
  readonly rejects?: string;
  readonly json: boolean;
}

/** `avatars import`: standard output holds the batch's id alone. */
export async function importBatch(options: ImportBatchOptions, io: CommandIo): Promise<number> {
  const config = readConfig();
  const chosen = chooseImportSource(options, config);
  const rejectsPath = options.rejects ?? chosen.rejectsPath;
  await assertDistinctFiles({ "the input": chosen.file, "the rejects": rejectsPath });
  const source = await chosen.open(io);
  const app = await openApp(config, {
    defaultLogLevel: "warn",
    maxConnections: 4,
    migrate: false,
    signal: io.signal,
  });
  try {
    const instance = await resolveInstance(app, chosen.instance);
    const { batchId, counts } = await readIntoBatch(
      app,
      options,
      { source, instance, priority: options.priority, rejectsPath },
      io,
    );
    const progress = await app.batches.findProgress(batchId);
    if (options.json) writeJson(io.stdout, progress);
    else writeLine(io.stdout, batchId);
    const { reading } = source;
    if (reading.format !== undefined) writeLine(io.stderr, describeReading(reading, counts.several));
    writeHint(io, io.stderr, describe(instance, progress));
    return counts.rejected > 0 ? exitCodes.incomplete : exitCodes.done;
  } catch (error) {
    if (!io.signal.aborted) throw error;
    writeLine(
      io.stderr,
      `stopped before the end of ${source.name}; what was read is kept: import it again to continue`,
    );
    return toStoppedCode(io);
  } finally {
    await app.close();
  }
}

/** What was taken in, and what becomes of it. */
function describe({ id }: InstanceView, progress: BatchProgress | undefined): string {
  const { accepted = 0, fresh = 0, duplicates = 0 } = progress ?? {};
  const next =
    fresh === accepted
      ? "all have a fresh answer: none needs a call"
      : "a worker asks for them: avatars worker";
  return `${toCounted(accepted, "contact")} enqueued for instance ${id}, ${fresh} of them fresh already, ${toCounted(duplicates, "duplicate")}; ${next}`;
}

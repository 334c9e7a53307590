import { openApp } from "../app.ts";
import { readConfig } from "../config.ts";
import { openFileSource } from "./contact-source.ts";
import { assertDistinctFiles, toRejectsPath, toResultsPath } from "./file-names.ts";
import { exitCodes, toStoppedCode, writeJson, writeLine, type CommandIo } from "./io.ts";
import { readIntoBatch, type IntakeOptions } from "./read-into-batch.ts";
import { resolveInstance } from "./resolve-instance.ts";

export interface ImportOptions extends IntakeOptions {
  readonly file: string;
  readonly priority: number;
  readonly rejects?: string;
  readonly json: boolean;
}

/** `avatars import`: standard output holds the batch's id alone. */
export async function importFile(options: ImportOptions, io: CommandIo): Promise<number> {
  const config = readConfig();
  const rejectsPath = options.rejects ?? toRejectsPath(toResultsPath(options.file));
  assertDistinctFiles({ "the input": options.file, "the rejects": rejectsPath });
  const source = await openFileSource(options.file, options, io.signal);
  const app = await openApp(config, {
    defaultLogLevel: "warn",
    maxConnections: 4,
    migrate: false,
    signal: io.signal,
  });
  try {
    const instance = await resolveInstance(app, options.instance);
    const { batchId, counts } = await readIntoBatch(
      app,
      options,
      { source, instance, priority: options.priority, rejectsPath },
      io,
    );
    const progress = await app.findBatchProgress(batchId);
    if (options.json) writeJson(io.stdout, progress);
    else writeLine(io.stdout, batchId);
    writeLine(
      io.stderr,
      `${progress?.accepted ?? 0} contacts enqueued for instance ${instance.id}, ${progress?.fresh ?? 0} of them fresh already, ${progress?.duplicates ?? 0} duplicates; a worker asks for them: avatars worker`,
    );
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

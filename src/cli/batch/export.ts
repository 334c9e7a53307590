import { openApp } from "../../app/app.ts";
import type { ResultFilter } from "../../domain/views/result-row.ts";
import { readConfig } from "../../config.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";
import { exitCodes, writeLine, type CommandIo } from "../terminal/io.ts";
import { assertResultsWritable, writeResultsFile, writeResultsTo } from "./results-file.ts";

export interface ExportOptions {
  readonly out: string;
  readonly instance?: InstanceId;
  readonly batch?: string;
  readonly status?: readonly ContactStatus[];
}

/** `avatars export` */
export async function exportResults(options: ExportOptions, io: CommandIo): Promise<number> {
  const config = readConfig();
  if (options.out !== "-") await assertResultsWritable(options.out);
  const app = await openApp(config, {
    defaultLogLevel: "warn",
    maxConnections: 2,
    migrate: false,
    signal: io.signal,
  });
  try {
    if (options.batch !== undefined && !(await app.batches.findSummary(options.batch))) {
      throw new UserError("unknown-batch", `there is no batch ${options.batch}`);
    }
    if (options.instance !== undefined && !(await app.instances.find(options.instance))) {
      throw new UserError(
        "unknown-instance",
        `there is no instance ${options.instance}: see avatars instance list`,
      );
    }
    const filter: ResultFilter = {
      instanceId: options.instance,
      batchId: options.batch,
      statuses: options.status,
    };
    const rows = app.batches.readResults(filter);
    if (options.out === "-") await writeResultsTo(io.stdout, rows, io.signal);
    else {
      const count = await writeResultsFile(options.out, rows, { signal: io.signal });
      writeLine(io.stderr, `${count} contacts written to ${options.out}`);
    }
  } finally {
    await app.close();
  }
  return exitCodes.done;
}

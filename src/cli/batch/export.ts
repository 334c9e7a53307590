import { openApp, type App } from "../../app/app.ts";
import type { ResultFilter, ResultRow } from "../../domain/views/result-row.ts";
import { readConfig } from "../../config.ts";
import type { ContactStatus } from "../../domain/contact-status.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { UserError } from "../../lib/errors.ts";
import { exitCodes, writeLine, type CommandIo } from "../terminal/io.ts";
import { assertWritable } from "../terminal/output-file.ts";
import { writeGalleryFile } from "./gallery-file.ts";
import { writeImageFolder } from "./image-folder.ts";
import { assertResultsWritable, writeResultsFile, writeResultsTo } from "./results-file.ts";

export interface ExportOptions {
  /** Undefined: pictures alone. */
  readonly out?: string;
  readonly images?: string;
  readonly gallery?: string;
  readonly instance?: InstanceId;
  readonly batch?: string;
  readonly status?: readonly ContactStatus[];
}

/** `avatars export` */
export async function exportResults(options: ExportOptions, io: CommandIo): Promise<number> {
  const config = readConfig();
  assertAnyOutput(options);
  if (options.out !== undefined && options.out !== "-") await assertResultsWritable(options.out);
  if (options.gallery !== undefined) await assertWritable(options.gallery);
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
    await writeAll(app, options, () => app.batches.readResults(filter), io);
  } finally {
    await app.close();
  }
  return exitCodes.done;
}

function assertAnyOutput({ out, images, gallery }: ExportOptions): void {
  if (out ?? images ?? gallery) return;
  throw new UserError("no-output", "say what to write: --out FILE, --images FOLDER, --gallery FILE.html");
}

async function writeAll(
  app: App,
  { out, images, gallery }: ExportOptions,
  readRows: () => AsyncIterable<ResultRow>,
  { stdout, stderr, signal }: CommandIo,
): Promise<void> {
  if (images !== undefined || gallery !== undefined) await assertImagesKept(app);
  if (out === "-") await writeResultsTo(stdout, readRows(), signal);
  else if (out !== undefined) {
    const count = await writeResultsFile(out, readRows(), { signal });
    writeLine(stderr, `${count} contacts written to ${out}`);
  }
  if (images !== undefined) {
    const { written, unchanged } = await writeImageFolder(app, images, readRows(), signal);
    writeLine(stderr, `${written} pictures written to ${images}; ${unchanged} were there already`);
  }
  if (gallery !== undefined) {
    await writeGalleryFile(app, gallery, readRows(), { title: "Contacts", signal });
    writeLine(stderr, `gallery: ${gallery}, to be opened in a browser`);
  }
}

async function assertImagesKept(app: App): Promise<void> {
  if ((await app.images.describe()) !== undefined) return;
  throw new UserError("images-off", "images are off: AVATARS_IMAGES says where they are kept");
}

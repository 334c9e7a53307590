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
import { formatCards, writeCardsFile } from "./cards-file.ts";
import { toOutputFormat, writeResultsFile, writeResultsTo, type OutputFormat } from "./results-file.ts";
import { toCounted } from "../terminal/counted.ts";

export interface ExportOptions {
  /** Undefined: pictures alone. */
  readonly out?: string;
  /** Of `out`; undefined: by its ending. */
  readonly format?: OutputFormat;
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
  if (options.out !== undefined) {
    toOutputFormat(options.out, options.format);
    if (options.out !== "-") await assertWritable(options.out);
  }
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
  { out, format, images, gallery }: ExportOptions,
  readRows: () => AsyncIterable<ResultRow>,
  io: CommandIo,
): Promise<void> {
  const { stderr, signal } = io;
  const outFormat = out === undefined ? undefined : toOutputFormat(out, format);
  if (images !== undefined || gallery !== undefined || outFormat === "vcf") await assertImagesKept(app);
  if (out !== undefined && outFormat !== undefined) await writeOut(app, out, outFormat, readRows(), io);
  if (images !== undefined) {
    const { written, unchanged } = await writeImageFolder(app, images, readRows(), signal);
    writeLine(
      stderr,
      `${toCounted(written, "picture")} written to ${images}; ${toCounted(unchanged, "was", "were")} there already`,
    );
  }
  if (gallery !== undefined) {
    await writeGalleryFile(app, gallery, readRows(), { title: "Contacts", signal });
    writeLine(stderr, `gallery: ${gallery}, to be opened in a browser`);
  }
}

async function writeOut(
  app: App,
  out: string,
  format: OutputFormat,
  rows: AsyncIterable<ResultRow>,
  io: CommandIo,
): Promise<void> {
  if (format === "vcf") {
    writeLine(io.stderr, formatCards(await writeCardsFile(app, out, rows, io), out));
  } else if (out === "-") await writeResultsTo(io.stdout, format, rows, io.signal);
  else {
    const count = await writeResultsFile(out, rows, { format, signal: io.signal });
    writeLine(io.stderr, `${toCounted(count, "contact")} written to ${out}`);
  }
}

async function assertImagesKept(app: App): Promise<void> {
  if ((await app.images.describe()) !== undefined) return;
  throw new UserError("images-off", "images are off: AVATARS_IMAGES says where they are kept");
}

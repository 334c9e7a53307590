import type { App } from "../../app/app.ts";
import type { IntakeCounts } from "../../domain/requests/incoming-contact.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import { defaultMaxAgeMs } from "../../domain/views/batch.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import { hasAtMost, intakeBounds } from "../../domain/intake-bounds.ts";
import { UserError } from "../../lib/errors.ts";
import type { ContactSource } from "./contact-source.ts";
import { writeLine, type CommandIo } from "../terminal/io.ts";
import { createRejectsFile } from "./rejects-file.ts";
import { toCounted } from "../terminal/counted.ts";

/** What `enrich` and `import` are told of their input, whatever it is. */
export interface IntakeOptions {
  readonly instance?: InstanceId;
  readonly column?: string;
  readonly refColumn?: string;
  readonly defaultCountry?: string;
  readonly firstNumber: boolean;
  readonly encoding?: string;
  readonly sheet?: string;
  readonly strict: boolean;
  /** ms */
  readonly maxAge?: number;
  readonly label?: string;
}

export interface BatchRead {
  readonly batchId: string;
  readonly counts: IntakeCounts;
  /** The report of records that are no contacts, where there are any. */
  readonly rejectsPath: string | undefined;
}

export interface BatchTarget {
  readonly source: ContactSource;
  readonly instance: InstanceView;
  readonly priority: number;
  readonly rejectsPath: string;
  readonly onOpened?: (batchId: string) => void;
}

/**
 * Reads a source into a batch, with a report of the records that are no contacts.
 * @throws UserError also when the source holds no contact at all
 */
export async function readIntoBatch(
  app: App,
  options: IntakeOptions,
  target: BatchTarget,
  io: CommandIo,
): Promise<BatchRead> {
  const { source } = target;
  const rejects = await createRejectsFile(target.rejectsPath, source.reading, io);
  let batchId = "";
  try {
    const counts = await app.batches.importRecords(
      source.read(app),
      {
        instanceId: target.instance.id,
        source: source.kind,
        label: options.label ?? toShortLabel(source.label),
        priority: target.priority,
        maxAgeMs: options.maxAge ?? defaultMaxAgeMs,
      },
      { strict: options.strict, reading: source.reading, signal: io.signal },
      {
        reject: rejects.add,
        opened(id) {
          batchId = id;
          target.onOpened?.(id);
        },
      },
      app.operator,
    );
    await rejects.close();
    const path = rejects.path();
    if (counts.contacts === 0) throw toEmptyError(source, counts, path);
    if (path !== undefined)
      writeLine(io.stderr, `${toRejected(counts.rejected, source.reading.unit)}, listed in ${path}`);
    return { batchId, counts, rejectsPath: path };
  } finally {
    await rejects.close();
  }
}

function toRejected(count: number, unit: string): string {
  return toCounted(count, `${unit} is no contact`, `${unit}s are no contacts`);
}

/** A path may be longer than a label; its end tells most. */
function toShortLabel(label: string | undefined): string | undefined {
  if (label === undefined || hasAtMost(label, intakeBounds.label)) return label;
  return `…${Array.from(label)
    .slice(1 - intakeBounds.label)
    .join("")}`;
}

function toEmptyError(
  { kind, name, reading: { unit } }: ContactSource,
  { rejected }: IntakeCounts,
  rejectsPath: string | undefined,
): UserError {
  return rejected === 0
    ? new UserError(
        `empty-${kind}`,
        `${name} holds no contacts: it is empty, or has only ${unit === "line" ? "a header" : `blank ${unit}s`}`,
      )
    : new UserError(
        "no-contacts",
        `${rejected === 1 ? `the only ${unit}` : `none of the ${rejected} ${unit}s`} of ${name} is ${rejected === 1 ? "no" : "a"} contact; see ${rejectsPath ?? "above"}`,
      );
}

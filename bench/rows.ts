import { OptionError } from "./options.ts";
import type { Backend } from "./servers.ts";

/** What one row measures. */
export type Row = ProductRow | BullmqRow;

export interface ProductRow extends Size {
  readonly kind: "product";
  readonly backend: Backend;
  readonly jitterMs: number;
  /** Workers take the images of what they are told; false unless told. */
  readonly keepsImages?: boolean;
}

interface Size {
  readonly instances: number;
  readonly processes: number;
  /** What is out of the ordinary; undefined: nothing. */
  readonly special?: Special;
}

/**
 * `slow`: answers take as long as GREEN-API's often do, so that many calls are in flight. `analyzed`: so they do, and statistics
 * were collected while no avatar was known yet.
 */
export type Special = "slow" | "analyzed";

/** BullMQ's own limiter: one queue, one instance. */
export interface BullmqRow {
  readonly kind: "bullmq";
  readonly processes: number;
  readonly limiter: { readonly max: number; readonly duration: number };
}

/** What may be asked for by name. */
export type RowName = Size | "bullmq";

export interface RowChoice {
  readonly backend: Backend;
  /** Undefined: all. */
  readonly only: readonly RowName[] | undefined;
  /** Of the rows with jitter; given together with `only`, of those. */
  readonly jitterMs: number | undefined;
  readonly hasRedis: boolean;
}

const calm = "1x1,1x3,20x1,20x3,200x1,200x3";
const slow = "200x1-slow,200x3-slow,200x1-analyzed";
const shaken = "20x1,20x3";
const defaultJitterMs = 30;

/** Reads a list such as `20x1,200x1-slow,bullmq`. @throws OptionError */
export function parseRowNames(list: string): RowName[] {
  return list.split(",").map((text) => {
    const name = text.trim();
    if (name === "bullmq") return name;
    const [, instances, processes, special] =
      /^([1-9]\d{0,3})x([1-9]\d?)(?:-(slow|analyzed))?$/.exec(name) ?? [];
    if (instances === undefined || processes === undefined)
      throw new OptionError(
        `--only takes instances x processes, such as 20x1 or 200x1-slow, or bullmq; not "${name}"`,
      );
    const size = { instances: Number(instances), processes: Number(processes) };
    return special === undefined ? size : { ...size, special: special as Special };
  });
}

/** The rows of a run, in the order of the tables. */
export function chooseRows({ backend, only, jitterMs, hasRedis }: RowChoice): Row[] {
  const toRows = (names: readonly RowName[], ms: number) =>
    names.flatMap((name): Row[] =>
      name === "bullmq" ? listBullmqRows() : [{ kind: "product", backend, jitterMs: ms, ...name }],
    );
  if (only !== undefined) return toRows(only, jitterMs ?? 0);
  return [
    ...toRows(parseRowNames(calm), 0),
    ...toRows(parseRowNames(slow), 0),
    ...toRows(parseRowNames(shaken), jitterMs ?? defaultJitterMs),
    ...(hasRedis ? listBullmqRows() : []),
  ];
}

function listBullmqRows(): BullmqRow[] {
  const limiters = [
    { max: 10, duration: 1000 },
    { max: 1, duration: 100 },
  ];
  return limiters.map((limiter): BullmqRow => ({ kind: "bullmq", processes: 1, limiter }));
}

export function nameRow(row: Row): string {
  if (row.kind === "product") {
    const size = `${row.instances} × ${row.processes}`;
    return row.special === "analyzed" ? `${size}, analyzed while empty` : size;
  }
  return `${row.limiter.max} per ${row.limiter.duration} ms, 1 × ${row.processes}`;
}

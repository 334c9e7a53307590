import type { BenchProcess } from "../processes.ts";
import type { Closer } from "../../src/lib/closing/closer.ts";
import type { Servers } from "../servers.ts";

/** A way to look contacts up, ready to be started. */
export interface Contender {
  readonly name: ContenderName;
  /** For people, with versions. */
  readonly title: string;
  /** Fills an empty database, and the queue, with so many contacts to look up. */
  prepare(options: PrepareOptions): Promise<Prepared>;
}

/** In the order of the table. */
export const contenderNames = ["floor", "bullmq", "graphile", "redis", "postgres", "textbook"] as const;
/** `redis` and `postgres` are ours, on these backends. */
export type ContenderName = (typeof contenderNames)[number];

export interface PrepareOptions {
  readonly servers: Servers;
  readonly providerUrl: string;
  readonly contacts: number;
  readonly closer: Closer;
}

export interface Prepared {
  start(): BenchProcess;
  /** How many contacts have no row yet, or no answer in it. */
  countLeft(): Promise<number>;
  /** How many rows are not what the provider has told of their contact. */
  countWrong(): Promise<number>;
}

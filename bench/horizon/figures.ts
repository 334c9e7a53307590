import type { CostsPerContact } from "../costs.ts";

/** What goes on beside the worker. */
export const besideNames = ["nothing", "snapshot", "dump"] as const;
export type BesideName = (typeof besideNames)[number];

/** One run, by quarters of its contacts. */
export interface HorizonFigures {
  readonly name: BesideName;
  readonly quarters: readonly CostsPerContact[];
  /** Calls in relation to what the rate allows, in all quarters. */
  readonly share: number;
}

/** What the last quarter's contacts cost Postgres in relation to the first's. */
export function toGrowth({ quarters }: HorizonFigures): number {
  return (quarters.at(-1)?.postgresUs ?? Infinity) / (quarters[0]?.postgresUs ?? Infinity);
}

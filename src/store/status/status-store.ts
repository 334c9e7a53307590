import type { InstanceId } from "../../domain/instance-id.ts";
import type { HeldInstance, InstanceStatus } from "../../domain/views/instance-status.ts";
import type { Database } from "../postgres/database.ts";
import { findHeldInstances, findStalledInstances } from "../work/find-due-instances.ts";
import { readStatus } from "./read-status.ts";

/** Where things stand. */
export interface StatusStore {
  /** Of all instances, or of one. It reads all their contacts. */
  readStatus(only?: InstanceId): Promise<InstanceStatus[]>;
  /** Instances with due contacts that no worker works on. Cheap, for health checks. */
  findStalledInstances(): Promise<InstanceId[]>;
  /** Held instances that contacts wait for. Cheap too. */
  findHeldInstances(): Promise<HeldInstance[]>;
}

/** @param defaultRate calls per second of instances that set none */
export function createStatusStore({ pool }: Pick<Database, "pool">, defaultRate: number): StatusStore {
  return {
    readStatus: (only) => readStatus(pool, defaultRate, only),
    findStalledInstances: () => findStalledInstances(pool),
    findHeldInstances: () => findHeldInstances(pool),
  };
}

import type { InstanceId } from "../../domain/instance-id.ts";
import type { InstanceView } from "../../domain/views/instance-view.ts";
import type { Database } from "../postgres/database.ts";
import { probeNow } from "../work/holds.ts";
import { countContacts, findInstance, listInstances } from "./instances.ts";

/** Instances as they are stored. */
export interface InstanceStore {
  /** By id. */
  list(): Promise<InstanceView[]>;
  /** Undefined: there is no such instance. */
  find(id: InstanceId): Promise<InstanceView | undefined>;
  countContacts(id: InstanceId): Promise<number>;
  /** Lets a held instance be probed by the next run. */
  probeNow(id: InstanceId): Promise<void>;
}

export function createInstanceStore(database: Database): InstanceStore {
  return {
    list: () => listInstances(database),
    find: (id) => findInstance(database, id),
    countContacts: (id) => countContacts(database, id),
    probeNow: (id) => probeNow(database.pool, id),
  };
}

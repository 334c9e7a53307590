import type { InstanceId } from "./domain/instance-id.ts";
import type { InstanceView } from "./domain/ledger.ts";
import type { Base } from "./open-base.ts";
import { probeNow } from "./store/holds.ts";
import * as instanceStore from "./store/instances.ts";
import type { InstanceSettings, StateBefore } from "./store/instances.ts";
import { resumeInstance } from "./store/resume-instance.ts";

export interface InstanceInput extends Omit<instanceStore.InstanceChange, "sealedToken"> {
  readonly token: string;
}

export interface Instances {
  list(): Promise<InstanceView[]>;
  find(id: InstanceId): Promise<InstanceView | undefined>;
  /** Adds or replaces; a hold ends, since its cause may have been the old token, and its contacts go on. */
  put(instance: InstanceInput): Promise<void>;
  /** Is this the token that is stored for the instance? */
  hasToken(id: InstanceId, token: string): Promise<boolean>;
  countContacts(id: InstanceId): Promise<number>;
  remove(id: InstanceId): Promise<boolean>;
  /** Lets a held instance be probed at once. */
  probeNow(id: InstanceId): Promise<void>;
  /** Returns the state before; undefined: there is no such instance. */
  setPaused(id: InstanceId, paused: boolean): Promise<StateBefore | undefined>;
  /**
   * Ends a pause or a wait that the provider asked for, or puts a hold to the test at once; running workers go on within
   * 2 s. Returns the state before.
   */
  resume(id: InstanceId): Promise<StateBefore | undefined>;
  /**
   * Changes what is given, with the next claim of each running worker. A hold is put to the test at once by a new URL.
   * Undefined: there is no such instance.
   */
  update(
    id: InstanceId,
    settings: InstanceSettings,
  ): Promise<{ before: InstanceView; after: InstanceView } | undefined>;
}

/**
 * @param wake tells running workers that the instance may be worked on; what it misses the sweep finds
 * @param forget takes away what the queue holds of an instance that is gone
 */
export function createInstances(
  base: Base,
  wake: (id: InstanceId) => Promise<void>,
  forget: (id: InstanceId) => Promise<unknown>,
): Instances {
  const { database, secrets } = base;
  const { pool } = database;
  return {
    list: () => instanceStore.listInstances(database),
    find: (id) => instanceStore.findInstance(database, id),
    async put({ token, ...instance }) {
      const sealedToken = secrets().seal(token, instance.id);
      const before = await instanceStore.findInstance(database, instance.id);
      await instanceStore.putInstance(database, { ...instance, sealedToken });
      if (before?.state === "held") await wake(instance.id);
    },
    async hasToken(id, token) {
      const sealed = await instanceStore.findSealedToken(database, id);
      return sealed !== undefined && secrets().open(sealed, id) === token;
    },
    countContacts: (id) => instanceStore.countContacts(database, id),
    async remove(id) {
      const wasThere = await instanceStore.removeInstance(database, id);
      if (wasThere) await forget(id);
      return wasThere;
    },
    probeNow: (id) => probeNow(pool, id),
    setPaused: (id, paused) => instanceStore.setPaused(database, id, paused),
    async resume(id) {
      const before = await resumeInstance(database, id);
      if (before !== undefined) await wake(id);
      return before;
    },
    async update(id, settings) {
      const update = await instanceStore.updateInstance(database, id, settings);
      if (update?.after.state === "held" && update.after.apiUrl !== update.before.apiUrl) {
        await probeNow(pool, id);
        await wake(id);
      }
      return update;
    },
  };
}

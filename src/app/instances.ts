import type { InstanceId } from "../domain/instance-id.ts";
import type { InstanceSettings, InstanceView, StateBefore } from "../domain/views/instance-view.ts";
import { judgeOperatorChange } from "../domain/judge-credentials.ts";
import { UserError } from "../lib/errors.ts";
import type { Base } from "./base.ts";
import { createJudgePorts } from "./tokens.ts";
import { changeInstance } from "../store/instances/change-instance.ts";
import { probeNow } from "../store/work/holds.ts";
import * as instanceStore from "../store/instances/instances.ts";
import { removeInstance, removeEmptyInstance } from "../store/instances/remove-instance.ts";
import { setPaused } from "../store/instances/pause-instance.ts";
import { resumeInstance } from "../store/instances/resume-instance.ts";
import { findCredentials } from "../store/instances/sealed-tokens.ts";

export interface InstanceInput extends Omit<instanceStore.InstanceChange, "sealedToken"> {
  readonly token: string;
}

export interface Instances {
  list(): Promise<InstanceView[]>;
  find(id: InstanceId): Promise<InstanceView | undefined>;
  /** Adds or replaces; a hold ends, since its cause may have been the old token, and its contacts go on. */
  put(instance: InstanceInput): Promise<void>;
  /** Are these the URL and the token that are stored for the instance? */
  hasCredentials(
    id: InstanceId,
    credentials: { readonly apiUrl: string; readonly token: string },
  ): Promise<boolean>;
  countContacts(id: InstanceId): Promise<number>;
  /** With its contacts. False: there is no such instance. */
  remove(id: InstanceId): Promise<boolean>;
  /** Unless it has contacts, also such as come at the same time. False: it has, and stays as it is. */
  removeEmpty(id: InstanceId): Promise<boolean>;
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
   * Changes what is given, with the next claim of each running worker. A hold is put to the test at once by a new URL, which
   * the stored token goes along to.
   * Undefined: there is no such instance. @throws UserError `token-unreadable`
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
      const sealedToken = secrets().seal(token, instance);
      // Only for the wake-up, which the sweep makes up for.
      const before = await instanceStore.findInstance(database, instance.id);
      await instanceStore.putInstance(database, { ...instance, sealedToken });
      if (before?.state === "held") await wake(instance.id);
    },
    async hasCredentials(id, { apiUrl, token }) {
      const stored = await findCredentials(database, id);
      return stored?.apiUrl === apiUrl && secrets().open(stored.sealedToken, { id, apiUrl }) === token;
    },
    countContacts: (id) => instanceStore.countContacts(database, id),
    async remove(id) {
      const wasThere = await removeInstance(database, id);
      if (wasThere) await forget(id);
      return wasThere;
    },
    async removeEmpty(id) {
      const isRemoved = await removeEmptyInstance(database, id);
      if (isRemoved) await forget(id);
      return isRemoved;
    },
    probeNow: (id) => probeNow(pool, id),
    setPaused: (id, paused) => setPaused(database, id, paused),
    async resume(id) {
      const before = await resumeInstance(database, id);
      if (before !== undefined) await wake(id);
      return before;
    },
    async update(id, settings) {
      const judgePorts = createJudgePorts(base, id);
      const update = await changeInstance(database, id, settings, (before) =>
        judgeOperatorChange(before, settings.apiUrl, judgePorts),
      );
      if (update.kind === "unknown") return undefined;
      if (update.kind === "refused") {
        throw new UserError(
          update.refusal,
          `instance ${id}: its stored token cannot be read with this AVATARS_SECRET_KEY, and so not go along to another host; give both: avatars instance add ${id} --url URL`,
        );
      }
      if (update.after.state === "held" && update.after.apiUrl !== update.before.apiUrl) {
        await probeNow(pool, id);
        await wake(id);
      }
      return update;
    },
  };
}

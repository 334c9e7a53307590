import type { Actor } from "../../domain/audit.ts";
import type { InstanceId } from "../../domain/instance-id.ts";
import {
  judgeApiChange,
  judgeOperatorChange,
  type CredentialJudge,
  type CredentialRefusal,
} from "../../domain/judge-credentials.ts";
import type {
  CareSettings,
  InstanceSettings,
  InstanceView,
  StateBefore,
} from "../../domain/views/instance-view.ts";
import { settleWithin } from "../../lib/deadline.ts";
import { changeInstance, type InstanceChanged } from "../../store/instances/change-instance.ts";
import { createInstanceStore, type InstanceStore } from "../../store/instances/instance-store.ts";
import {
  addInstance,
  findInstance,
  putInstance,
  type InstanceChange,
  type NewInstance,
} from "../../store/instances/instances.ts";
import { setPaused } from "../../store/instances/pause-instance.ts";
import { removeEmptyInstance, removeInstance } from "../../store/instances/remove-instance.ts";
import { resumeInstance } from "../../store/instances/resume-instance.ts";
import { checkTimeZone } from "../../store/instances/check-time-zone.ts";
import { findCredentials } from "../../store/instances/sealed-tokens.ts";
import type { Door } from "./door.ts";
import { forgetInstanceInQueue } from "./forget-in-queue.ts";
import { createJudgePorts } from "./judge-ports.ts";

type WithToken<Instance> = Omit<Instance, "sealedToken"> & { readonly token: string };

/**
 * The instances, for the command line and the API. New credentials put a hold to the test at once and end none: an answer
 * decides whether they work.
 */
export interface Instances extends InstanceStore {
  /** Adds the instance, or replaces its URL and token. Returns the instance before; undefined: it is new. */
  put(instance: WithToken<InstanceChange>, by: Actor): Promise<InstanceView | undefined>;
  /** `known`: there is one with this id already, and it stays. `untrusted-host`: no apiUrl over HTTP may point there. */
  add(instance: WithToken<NewInstance>, by: Actor): Promise<"added" | "known" | "untrusted-host">;
  /**
   * Changes the settings that are given, with the next renewal of a lease, within about a second; null takes a setting away. New
   * credentials are judged, as a change over HTTP, against those stored at the moment of the write.
   * @throws UserError `unknown-time-zone`, here and where an instance is added
   */
  change(
    id: InstanceId,
    changes: InstanceSettings & { readonly token?: string | undefined },
    by: Actor,
  ): Promise<InstanceChanged<CredentialRefusal>>;
  /** Changes settings for the operator, whose stored token goes along to a new URL. */
  changeAsOperator(
    id: InstanceId,
    settings: InstanceSettings,
    by: Actor,
  ): Promise<InstanceChanged<"token-unreadable">>;
  /** Are these the URL and the token that are stored for the instance? */
  hasCredentials(
    id: InstanceId,
    credentials: { readonly apiUrl: string; readonly token: string },
  ): Promise<boolean>;
  /** Stops the calls; a hold ends with it. Returns the state before; undefined: there is no such instance. */
  pause(id: InstanceId, by: Actor): Promise<StateBefore | undefined>;
  /**
   * Ends a pause, or a wait that the provider asked for, or puts a hold to the test at once. Running workers go on within 2 s.
   * Returns the state before; undefined: there is no such instance.
   */
  resume(id: InstanceId, by: Actor): Promise<StateBefore | undefined>;
  /** Removes the instance unless it has contacts, also such as come at the same time. False: it has, and stays as it is. */
  removeEmpty(id: InstanceId, by: Actor): Promise<boolean>;
  /**
   * Pauses the instance, and removes it with its contacts, in steps that commit. A removal that was stopped half way is
   * finished by the next call.
   * @param withinMs the patience of a caller that is told when it takes longer; undefined: to the end
   * @returns false: it takes longer, and goes on
   */
  remove(id: InstanceId, by: Actor, withinMs?: number): Promise<boolean>;
}

export function createInstances(door: Door): Instances {
  return {
    ...createInstanceStore(door.quick),
    ...createSetting(door),
    ...createPausing(door),
    ...createRemoval(door),
  };
}

function createSetting(
  door: Door,
): Pick<Instances, "put" | "add" | "change" | "changeAsOperator" | "hasCredentials"> {
  const { quick, wake, secrets } = door;

  /** Changes an instance, and has workers look at one whose hold is put to the test. */
  async function change<Refusal>(
    id: InstanceId,
    { token, ...settings }: Parameters<Instances["change"]>[1],
    judge: CredentialJudge<Refusal>,
    by: Actor,
  ): Promise<InstanceChanged<Refusal>> {
    await checkTimeZone(quick, settings.timeZone);
    const wish = { apiUrl: settings.apiUrl, token };
    const judgePorts = createJudgePorts(door, id);
    const changed = await changeInstance(
      quick,
      id,
      settings,
      (before) => judge(before, wish, judgePorts),
      by,
    );
    if (changed.kind === "changed" && (changed.isTested || hasCare(settings))) await wake(id);
    return changed;
  }

  return {
    async put({ token, ...instance }, by) {
      await checkTimeZone(quick, instance.timeZone);
      const sealedToken = secrets().seal(token, instance);
      // The look is for people, and for the wake-up, which the sweep makes up for.
      const before = await findInstance(quick, instance.id);
      await putInstance(quick, { ...instance, sealedToken }, by);
      if (before && (before.state === "held" || hasCare(instance))) await wake(instance.id);
      return before;
    },
    async add({ token, ...instance }, by) {
      const { mayPointTo, seal } = createJudgePorts(door, instance.id);
      if (!mayPointTo(instance.apiUrl)) return "untrusted-host";
      await checkTimeZone(quick, instance.timeZone);
      const sealedToken = seal(token, instance.apiUrl);
      return (await addInstance(quick, { ...instance, sealedToken }, by)) ? "added" : "known";
    },
    change: async (id, changes, by) => change(id, changes, judgeApiChange, by),
    changeAsOperator: async (id, settings, by) => change(id, settings, judgeOperatorChange, by),
    async hasCredentials(id, { apiUrl, token }) {
      const stored = await findCredentials(quick, id);
      return stored?.apiUrl === apiUrl && secrets().open(stored.sealedToken, { id, apiUrl }) === token;
    },
  };
}

/** Are settings among these that may let it be called at once? */
function hasCare({ callsPerDay, quietHours, quietInteractive, timeZone }: CareSettings): boolean {
  return [callsPerDay, quietHours, quietInteractive, timeZone].some((setting) => setting !== undefined);
}

function createPausing({ quick, wake }: Door): Pick<Instances, "pause" | "resume"> {
  return {
    pause: (id, by) => setPaused(quick, id, true, by),
    async resume(id, by) {
      const before = await resumeInstance(quick, id, by);
      if (before !== undefined) await wake(id);
      return before;
    },
  };
}

function createRemoval({
  quick,
  lasting,
  getQueues,
  events,
}: Door): Pick<Instances, "remove" | "removeEmpty"> {
  /** The removals at work, which calls at the same time share. */
  const removals = new Map<InstanceId, Promise<unknown>>();

  function start(id: InstanceId, by: Actor): Promise<unknown> {
    const removal = removeInstance(lasting, id, by)
      .then(async () => forgetInstanceInQueue(getQueues, id))
      .finally(() => removals.delete(id));
    removals.set(id, removal);
    return removal;
  }

  return {
    async removeEmpty(id, by) {
      const isRemoved = await removeEmptyInstance(quick, id, by);
      if (isRemoved) await forgetInstanceInQueue(getQueues, id);
      return isRemoved;
    },
    async remove(id, by, withinMs) {
      const known = removals.get(id);
      const removal = known ?? start(id, by);
      if (withinMs === undefined) {
        await removal;
        return true;
      }
      // The caller may have gone when it fails.
      if (!known) removal.catch((error: unknown) => events.ledgerFailed({ where: "remove instance" }, error));
      return settleWithin(removal, withinMs);
    },
  };
}

import type { Socket } from "node:net";
import type { LogFilter, LoggedCall } from "../world/call-log.ts";
import type { ContactListSize, ListedContact } from "../world/contact-list.ts";
import { parseContactListSize, parseFaults, parseScript } from "./control-input.ts";
import type { Latency } from "../world/latency.ts";
import type { Script, ScriptTarget } from "../world/scripts.ts";
import type { FaultShares, Settings } from "../world/simulator-options.ts";
import { clearPictureCounts, createPictureControl, type PictureControl } from "./picture-control.ts";
import { type SimulatorStats, readStats } from "./stats.ts";
import type { EventLoopLag } from "./event-loop-lag.ts";
import type { Truth, TruthChange } from "../world/truth.ts";
import { createWorld, getContactList, getInstance, type Simulation } from "../world/world.ts";

/**
 * What a test or a demo may do to the simulator; the control endpoint offers the same over HTTP. Scripts
 * and faults that make no sense throw a `ControlInputError`.
 */
export interface SimulatorControl extends PictureControl {
  /** Sets the answers for a chat, an instance or everything, in place of an earlier script for the same. */
  script(script: Script): void;
  /** Removes the scripts for this target and for parts of it; all without a target. */
  clearScripts(target?: ScriptTarget): void;
  /** Any state of getStateInstance, or `expired` or `deleted`. `reportedState` is what it claims to be instead. */
  setState(instanceId: string, state: string, reportedState?: string): void;
  /** getAvatar calls per sliding second, of one instance or of all that have no rate of their own. */
  setRate(requestsPerSecond: number, instanceId?: string): void;
  /** Changes what is given, keeps the rest. */
  setLatency(latency: Partial<Latency>): void;
  /** Replaces the shares, of one instance or of all that have none of their own. */
  setFaults(faults: FaultShares, instanceId?: string): void;
  /** The only good token, of one instance or of all that have none of their own; undefined lifts it. */
  setToken(token: string | undefined, instanceId?: string): void;
  setTruth(change: TruthChange): void;
  /**
   * How many contacts getContacts lists, of one instance or of all that have no list of their own. Its faults are scripts
   * for that method: the body `[]`, `disguised-401`, `html-200` and the like.
   */
  setContacts(size: ContactListSize, instanceId?: string): void;
  /** What getContacts lists. */
  contacts(instanceId: string): readonly ListedContact[];
  /** What a lookup of this chat must end in; scripts and faults do not change it. */
  truth(instanceId: string, chatId: string): Truth;
  /** Resets every open connection at once, idle and stalled ones too, `except` one; tells how many. */
  dropConnections(except?: Socket): number;
  /** Calls in the order of their arrival; requests of pictures have a log of their own. */
  readLog(filter?: LogFilter): LoggedCall[];
  /** Empties both logs and starts the statistics anew. */
  clearLog(): void;
  stats(): SimulatorStats;
  /** Everything as at the start. Calls in flight end as they were decided, outside the new log. */
  reset(): void;
}

export interface ControlPorts {
  readonly simulation: Simulation;
  readonly settings: Settings;
  readonly lag: EventLoopLag;
  readonly dropConnections: (except?: Socket) => number;
}

export function createControl({
  simulation,
  settings,
  lag,
  dropConnections,
}: ControlPorts): SimulatorControl {
  /** The owner of a setting: one instance, or all. */
  const owner = (instanceId: string | undefined) =>
    instanceId === undefined ? simulation.world : getInstance(simulation.world, instanceId);
  return {
    ...createPictureControl(simulation),
    script: (script) => simulation.world.scripts.set(parseScript(script)),
    clearScripts: (target) => simulation.world.scripts.clear(target),
    setState(instanceId, state, reportedState) {
      Object.assign(getInstance(simulation.world, instanceId), { state, reportedState });
    },
    setRate(requestsPerSecond, instanceId) {
      owner(instanceId).requestsPerSecond = requestsPerSecond;
    },
    setLatency(latency) {
      simulation.world.latency = { ...simulation.world.latency, ...latency };
    },
    setFaults(faults, instanceId) {
      owner(instanceId).faults = parseFaults(faults);
    },
    setToken(token, instanceId) {
      owner(instanceId).token = token;
    },
    setContacts(size, instanceId) {
      owner(instanceId).contacts = parseContactListSize(size);
    },
    contacts: (instanceId) => getContactList(simulation.world, getInstance(simulation.world, instanceId)),
    setTruth: (change) => simulation.world.truths.change(change),
    truth: (instanceId, chatId) => simulation.world.truths.get(instanceId, chatId),
    dropConnections,
    readLog: (filter) => simulation.world.log.read(filter),
    clearLog() {
      clearCounts(simulation);
      lag.reset();
    },
    stats: () => readStats(simulation, lag),
    reset() {
      simulation.world = createWorld(settings);
      clearCounts(simulation);
      lag.reset();
    },
  };
}

function clearCounts(simulation: Simulation): void {
  const { world } = simulation;
  world.log.clear();
  world.callsByStatus.clear();
  for (const instance of world.instances.values()) {
    for (const limiter of Object.values(instance.limiters)) limiter.clearCounts();
  }
  simulation.peakInFlight = simulation.inFlight;
  clearPictureCounts(simulation);
}

import { CallLog } from "./call-log.ts";
import { toContactList, type ContactListSize, type ListedContact } from "./contact-list.ts";
import type { Latency } from "./latency.ts";
import { Limiter } from "./limiter.ts";
import { createRandom, type Random } from "../outcomes/random.ts";
import type { Painter } from "../pictures/painter.ts";
import { createPictureWorld, type PictureWorld } from "./picture-world.ts";
import { Scripts } from "./scripts.ts";
import type { FaultShares, Method, Settings } from "./simulator-options.ts";
import { Truths } from "./truth.ts";

/** One instance. What is undefined here is as in the world. */
export interface Instance {
  readonly id: string;
  /** A state of getStateInstance, or `expired`, or `deleted`. */
  state: string;
  /** What getStateInstance says where that is not the state: the real one is sometimes wrong. */
  reportedState: string | undefined;
  requestsPerSecond: number | undefined;
  faults: FaultShares | undefined;
  token: string | undefined;
  contacts: ContactListSize | undefined;
  readonly limiters: Readonly<Record<Method, Limiter>>;
  readonly attempts: AttemptCounter;
}

/** All that changes while the simulator runs; a reset makes a new one. */
export interface World {
  readonly seed: number;
  readonly troubledShare: number;
  readonly stateRequestsPerSecond: number;
  readonly contactsRequestsPerSecond: number;
  requestsPerSecond: number;
  readonly jitterMs: number;
  readonly jitterRandom: Random;
  latency: Latency;
  faults: FaultShares;
  token: string | undefined;
  contacts: ContactListSize;
  readonly instances: Map<string, Instance>;
  readonly scripts: Scripts;
  readonly truths: Truths;
  readonly log: CallLog;
  /** How many calls ended with each HTTP status; 0 stands for those that ended without one. */
  readonly callsByStatus: Map<number, number>;
  readonly pictures: PictureWorld;
}

/** What a running simulator holds on to. `world` is replaced as a whole; a call stays in the world it arrived in. */
export interface Simulation {
  world: World;
  /** Calls that have arrived and are not answered yet. */
  inFlight: number;
  peakInFlight: number;
  readonly pictures: PictureService;
}

/** The part of the simulator that stands for WhatsApp's CDN. */
export interface PictureService {
  readonly painter: Painter;
  /**
   * Where a client that asked with this `Host` finds the pictures, e.g. `http://127.0.0.1:40123`; undefined where URLs are
   * WhatsApp's and lead nowhere.
   */
  readonly findOrigin: (host: string | undefined) => string | undefined;
  /** Whether requests of pictures are answered here: no other simulator does it. */
  readonly isServedHere: boolean;
  /** Requests of pictures that have arrived and are not answered to the end. */
  inFlight: number;
  peakInFlight: number;
}

export function createWorld(settings: Settings): World {
  return {
    seed: settings.seed,
    troubledShare: settings.troubledShare,
    stateRequestsPerSecond: settings.stateRequestsPerSecond,
    contactsRequestsPerSecond: settings.contactsRequestsPerSecond,
    requestsPerSecond: settings.requestsPerSecond,
    jitterMs: settings.jitterMs,
    jitterRandom: createRandom(settings.seed),
    latency: settings,
    faults: settings.defaultFaults,
    token: settings.token,
    contacts: settings.contacts,
    instances: new Map(),
    scripts: new Scripts(),
    truths: new Truths(settings.seed, settings.pictures),
    log: new CallLog(settings.logCapacity),
    callsByStatus: new Map(),
    pictures: createPictureWorld(settings),
  };
}

/** The instance with this id: whichever is asked for exists, and is authorized. */
export function getInstance(world: World, id: string): Instance {
  const known = world.instances.get(id);
  if (known !== undefined) return known;
  const instance: Instance = {
    id,
    state: "authorized",
    reportedState: undefined,
    requestsPerSecond: undefined,
    faults: undefined,
    token: undefined,
    contacts: undefined,
    limiters: {
      getAvatar: new Limiter(),
      getStateInstance: new Limiter(),
      getContacts: new Limiter(),
    },
    attempts: new AttemptCounter(),
  };
  world.instances.set(id, instance);
  return instance;
}

/** The contacts that getContacts lists for this instance. */
export function getContactList({ seed, contacts }: World, instance: Instance): ListedContact[] {
  return toContactList(seed, instance.id, instance.contacts ?? contacts);
}

/** How often each chat was asked for. Beyond a million chats the first one is forgotten. */
class AttemptCounter {
  readonly #attempts = new Map<string, number>();

  /** Counts one more attempt and returns its number, from 1. */
  count(chatId: string): number {
    const attempt = (this.#attempts.get(chatId) ?? 0) + 1;
    this.#attempts.set(chatId, attempt);
    if (this.#attempts.size > 1_000_000) {
      const oldest = this.#attempts.keys().next();
      if (oldest.done !== true) this.#attempts.delete(oldest.value);
    }
    return attempt;
  }
}

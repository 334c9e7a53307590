import type { ContactListSize } from "./contact-list.ts";
import type { Latency } from "./latency.ts";
import type { OutcomeName } from "../outcomes/outcomes.ts";
import type { PictureShares } from "./picture-scripts.ts";
import type { PictureTuning } from "./picture-tuning.ts";

/** The methods that are simulated. */
export type Method = "getAvatar" | "getStateInstance" | "getContacts";

/** For each outcome the share of calls, 0 to 1, that suffer it instead of the truth. Together at most 1. */
export type FaultShares = { readonly [Name in OutcomeName]?: number };

export interface SimulatorOptions extends Partial<Latency>, Partial<PictureTuning> {
  /** 0, the default, takes a free one. */
  readonly port?: number;
  readonly host?: string;
  /** The same seed gives the same truths, troubles, faults and latencies. */
  readonly seed?: number;
  /** getAvatar calls per instance in any sliding second; 10 unless told. */
  readonly requestsPerSecond?: number;
  /** getStateInstance calls per instance in any sliding second; 1 unless told. */
  readonly stateRequestsPerSecond?: number;
  /** getContacts calls per instance in any sliding second; 1 unless told. */
  readonly contactsRequestsPerSecond?: number;
  /** The contact list of each instance; 90 users, 8 groups and 2 others unless told. */
  readonly contacts?: ContactListSize;
  /** The network's part: up to so many ms at random before a call's arrival is stamped; 0 unless told. */
  readonly jitterMs?: number;
  /** The only token that is not answered 401. Without it every token is good. */
  readonly token?: string;
  readonly defaultFaults?: FaultShares;
  /** The share of chats whose first one or two calls fail before the truth is told; 0.06 unless told. */
  readonly troubledShare?: number;
  /** How many calls the log keeps; a million unless told. */
  readonly logCapacity?: number;
  /** Whether URLs lead to pictures that the simulator serves, instead of to WhatsApp's CDN; false unless told. */
  readonly pictures?: boolean;
  /**
   * The origin of another simulator with the same seed, which serves the pictures in place of this one. What is changed about a
   * picture, its faults and scripts included, is told to that one. Only with `pictures`.
   */
  readonly picturesAt?: string;
  readonly pictureFaults?: PictureShares;
  /** How many requests of pictures their log keeps; 100,000 unless told. */
  readonly pictureLogCapacity?: number;
}

/** The options of a run with every gap filled. */
export type Settings = Required<Omit<SimulatorOptions, OpenOption>> & {
  readonly [Name in OpenOption]: SimulatorOptions[Name] | undefined;
};

/** Options that mean something where they are not given. */
type OpenOption = "token" | "urlLifetimeMs" | "picturesAt";

const defaults: Omit<Settings, OpenOption> = {
  port: 0,
  host: "127.0.0.1",
  seed: 1,
  requestsPerSecond: 10,
  stateRequestsPerSecond: 1,
  contactsRequestsPerSecond: 1,
  contacts: { users: 90, groups: 8, others: 2 },
  latencyMs: 120,
  latencySpread: 0.35,
  tailShare: 0.01,
  tailLatencyMs: 1500,
  jitterMs: 0,
  defaultFaults: {},
  troubledShare: 0.06,
  logCapacity: 1_000_000,
  pictures: false,
  pictureFaults: {},
  pictureLogCapacity: 100_000,
  pictureLatencyMs: 20,
  dripMs: 250,
  base64Share: 0,
};

export function toSettings(options: SimulatorOptions): Settings {
  const { token, urlLifetimeMs, picturesAt } = options;
  return { ...defaults, ...options, token, urlLifetimeMs, picturesAt };
}

import type { Random } from "./random.ts";
import type { Reply } from "./reply.ts";

/** What an outcome may look at to make its reply. */
export interface Call {
  readonly chatId: string;
  /** The path as requested, with the token in it: the real API echoes it in its 400 bodies. */
  readonly requestPath: string;
  readonly nowMs: number;
  /** The chat's present picture. */
  readonly avatar: Avatar;
  readonly random: Random;
}

/** A picture as an answer may hold it. */
export interface Avatar {
  /** How long a URL of it is valid, in ms. */
  readonly lifetimeMs: () => number;
  /** `expiresAtMs` is undefined for a URL without an end. */
  readonly toUrl: (expiresAtMs: number | undefined) => string;
  /** Its path at WhatsApp's CDN: the same as long as the picture is. */
  readonly path: string;
  /** A URL that is not of WhatsApp's form. `random` makes its signature. */
  readonly toUrlElsewhere: (random: Random) => string;
  /** Its file. */
  readonly draw: () => { readonly type: string; readonly base64: string };
}

/** A clear answer about a chat. */
export type ClearKind = "present" | "absent" | "hidden" | "invalid";

/** An outcome: one thing that the API may do. */
export interface OutcomeSpec {
  /** The last six digits of a chat id that always gets this outcome. */
  readonly digits: string;
  readonly means: string;
  /** What a caller must conclude; undefined where the outcome says nothing for sure of the chat. */
  readonly clear?: ClearKind;
  /** The answer has the picture itself, or a URL whose path does not tell it. */
  readonly inline?: true;
  readonly respond: (call: Call) => Reply;
}

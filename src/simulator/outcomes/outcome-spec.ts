import type { Random } from "./random.ts";
import type { Reply } from "./reply.ts";

/** What an outcome may look at to make its reply. */
export interface Call {
  readonly chatId: string;
  /** As requested, with the token in it: the real API echoes it in its 400 bodies. */
  readonly requestPath: string;
  readonly nowMs: number;
  /** Where the chat's present picture lies. */
  readonly avatarPath: string;
  readonly random: Random;
}

/** A clear answer about a chat. */
export type ClearKind = "present" | "absent" | "hidden" | "invalid";

/** One thing the API may do. */
export interface OutcomeSpec {
  /** The last six digits of a chat id that always gets this outcome. */
  readonly digits: string;
  readonly means: string;
  /** What a caller must conclude; undefined where the outcome says nothing for sure of the chat. */
  readonly clear?: ClearKind;
  readonly respond: (call: Call) => Reply;
}

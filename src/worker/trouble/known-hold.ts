import type { Hold } from "../../domain/trouble/hold.ts";
import type { Call } from "../run/call.ts";
import type { RunEnd } from "../run/instance-run.ts";
import type { Lane } from "../lane/lane.ts";
import type { InstanceHolds } from "./instance-holds.ts";

/** The hold of an instance, as far as one process knows of it. */
export interface KnownHold {
  /** The instance is to be held. True: it is from now on. False: what the call told is old news. */
  open(hold: Hold, askedAtMs: number): Promise<boolean>;
  /** A clear answer came: ends the hold that it overrules, where there may be one. Undefined: there is none. */
  answered(call: Call): Promise<void> | undefined;
  /** Ends the run without a hold. */
  endRun(): void;
  /** A run has ended. True: it met a hold that other processes have found out. */
  runEnded(end: RunEnd): boolean;
}

export function createKnownHold(holds: InstanceHolds, lane: Lane): KnownHold {
  /** The instance is held, as far as is known: an answer to a call that was sent since then overrules it. */
  let mayBeHeld = false;
  /** The run ends by this process's own doing, though the instance is not held. */
  let isEnding = false;

  async function end({ contact, askedAtMs }: Call): Promise<void> {
    if (await holds.end(contact.chatId, askedAtMs)) mayBeHeld = false;
  }

  return {
    async open(hold, askedAtMs) {
      const isHeld = await holds.open(hold, askedAtMs);
      if (isHeld) mayBeHeld = true;
      return isHeld;
    },
    answered(call) {
      const { probing, heldKind } = call.instance;
      return probing || (mayBeHeld && heldKind === undefined) ? end(call) : undefined;
    },
    endRun() {
      isEnding = true;
      lane.stopRuns();
    },
    runEnded(end) {
      // A hold that leaves some chats to be asked is known already.
      const isNews = end === "held" && !mayBeHeld && !isEnding;
      isEnding = false;
      // A run that ended otherwise was let in: what comes after it is news again.
      mayBeHeld = end === "held";
      return isNews;
    },
  };
}

import { getOutcome, type OutcomeName } from "../outcomes/outcomes.ts";
import type { Call } from "../outcomes/outcome-spec.ts";
import type { Reply } from "../outcomes/reply.ts";
import { RunningAnswers } from "./running-answers.ts";
import type { Method } from "./simulator-options.ts";

/** An answer of a script: an outcome by name, or its own. */
export type ScriptedAnswer =
  | OutcomeName
  | { readonly outcome: OutcomeName; readonly delayMs?: number }
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      /** Instead of the drawn latency. */
      readonly delayMs?: number;
    };

/** The instances and chats that a script speaks for. Without `chatId` every chat, without `instanceId` every instance. */
export interface ScriptTarget {
  readonly instanceId?: string;
  readonly chatId?: string;
  /** `getAvatar` unless told. */
  readonly method?: Method;
}

/**
 * Answers to give instead of the truth. They take the place of an earlier script for the same target. The
 * narrower target goes first: a chat of an instance, a chat, an instance, everything.
 */
export interface Script extends ScriptTarget {
  readonly answers: readonly ScriptedAnswer[];
  /** How often the whole list is played; once unless told. */
  readonly times?: number | "forever";
}

/** What a script says to one call. */
export interface ScriptedReply {
  readonly name: string;
  readonly reply: Reply;
  readonly delayMs: number | undefined;
}

/** The scripts that still have something to say. */
export class Scripts {
  readonly #running = new RunningAnswers<ScriptTarget, ScriptedAnswer>(toKey);

  set({ answers, times, ...target }: Script): void {
    this.#running.set({ ...target, method: target.method ?? "getAvatar" }, answers, times);
  }

  /** Removes the scripts that speak for this target or a part of it; all of them without a target. */
  clear(target: ScriptTarget = {}): void {
    this.#running.clear((script) => covers(target, script));
  }

  /** The next scripted answer for a call, which is then used up. */
  take(method: Method, instanceId: string, chatId: string): ScriptedAnswer | undefined {
    const targets = [{ instanceId, chatId }, { chatId }, { instanceId }, {}];
    return this.#running.take(targets.map((target) => ({ ...target, method })));
  }
}

/** Plays one scripted answer to a call. */
export function playAnswer(answer: ScriptedAnswer, call: Call): ScriptedReply {
  if (typeof answer === "string") {
    return { name: answer, reply: getOutcome(answer).respond(call), delayMs: undefined };
  }
  const { delayMs } = answer;
  if ("outcome" in answer) {
    return { name: answer.outcome, reply: getOutcome(answer.outcome).respond(call), delayMs };
  }
  const { status, headers = {}, body = "" } = answer;
  return { name: "raw", reply: { kind: "answer", status, headers, body }, delayMs };
}

function toKey({ method = "getAvatar", instanceId = "*", chatId = "*" }: ScriptTarget): string {
  return `${method} ${instanceId} ${chatId}`;
}

function covers(wide: ScriptTarget, narrow: ScriptTarget): boolean {
  return (["method", "instanceId", "chatId"] as const).every(
    (key) => wide[key] === undefined || wide[key] === narrow[key],
  );
}

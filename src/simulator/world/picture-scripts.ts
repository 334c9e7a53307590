import {
  getPictureOutcome,
  type PictureOutcomeName,
  type PictureRequest,
} from "../outcomes/picture-outcomes.ts";
import { type PictureReply, toAnswer } from "../outcomes/picture-reply.ts";
import { RunningAnswers } from "./running-answers.ts";

/** One answer of a script: an outcome by name, or an answer of its own. */
export type ScriptedPicture =
  | PictureOutcomeName
  | {
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      /** A text is sent in UTF-8. */
      readonly body?: string | Uint8Array;
    };

/** Which pictures a script speaks for: a version, else all of a chat, else all. */
export interface PictureTarget {
  readonly chatId?: string;
  /** The path without the query. */
  readonly version?: string;
}

/** Answers to give to requests of pictures. A version goes first, then its chat, then what is for all. */
export interface PictureScript extends PictureTarget {
  readonly answers: readonly ScriptedPicture[];
  /** How often the whole list is played; once unless told. */
  readonly times?: number | "forever";
}

/** For each outcome the share of requests, 0 to 1, that end in it instead of the picture. Together at most 1. */
export type PictureShares = { readonly [Name in PictureOutcomeName]?: number };

/** The scripts of pictures that still have something to say. */
export class PictureScripts {
  readonly #running = new RunningAnswers<PictureTarget, ScriptedPicture>(
    ({ chatId = "*", version = "*" }) => `${chatId} ${version}`,
  );

  set({ answers, times, ...target }: PictureScript): void {
    this.#running.set(target, answers, times);
  }

  /** Removes the scripts for this target or a part of it; all of them without a target. */
  clear({ chatId, version }: PictureTarget = {}): void {
    this.#running.clear(
      (script) =>
        (chatId === undefined || chatId === script.chatId) &&
        (version === undefined || version === script.version),
    );
  }

  /** The next scripted answer, which is then used up. */
  take(chatId: string, version: string): ScriptedPicture | undefined {
    return this.#running.take([{ chatId, version }, { version }, { chatId }, {}]);
  }
}

/** Plays one scripted answer, and says under which name it goes into the log. */
export function playPicture(
  answer: ScriptedPicture,
  request: PictureRequest,
): { readonly name: string; readonly reply: PictureReply } {
  if (typeof answer === "string") return { name: answer, reply: getPictureOutcome(answer).respond(request) };
  const { status, headers = {}, body = "" } = answer;
  return { name: "raw", reply: toAnswer(status, headers, body) };
}

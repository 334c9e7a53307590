import { isPictureOutcomeName, type PictureOutcomeName } from "../outcomes/picture-outcomes.ts";
import type {
  PictureScript,
  PictureShares,
  PictureTarget,
  ScriptedPicture,
} from "../world/picture-scripts.ts";
import type { PictureTuning } from "../world/picture-tuning.ts";
import {
  ControlInputError,
  Input,
  omitUndefined,
  parseHeaders,
  parseShares,
  toBody,
} from "./control-input.ts";

/** Half of what a timer can wait: latencies are up to one and a half times as long. */
const maxTimerMs = 2 ** 30;
const targetKeys = ["chatId", "version"];

/** Reads a target from a query. */
export function parsePictureTarget(value: unknown): PictureTarget {
  return readTarget(new Input(value, targetKeys, "the query"));
}

/** Bodies of answers are a text in `body`, or bytes in `base64`; in this process `body` may be bytes. */
export function parsePictureScript(value: unknown): PictureScript {
  const input = new Input(value, [...targetKeys, "answers", "times"]);
  const answers = input.get("answers");
  if (!Array.isArray(answers)) throw new ControlInputError(`"answers" in the body must be a list`);
  const times = input.get("times") === "forever" ? "forever" : input.findNumber("times", 0);
  return { ...readTarget(input), answers: answers.map(parseAnswer), ...omitUndefined({ times }) };
}

/** Reads the share of each picture outcome. */
export function parsePictureFaults(value: unknown): PictureShares {
  return parseShares(value, parseName);
}

/** Reads what is to change; a lifetime of null is WhatsApp's again. */
export function parsePictureTuning(value: unknown): Partial<PictureTuning> {
  const input = new Input(value, ["pictureLatencyMs", "dripMs", "urlLifetimeMs", "base64Share"]);
  const rest = {
    pictureLatencyMs: input.findNumber("pictureLatencyMs", 0, maxTimerMs),
    dripMs: input.findNumber("dripMs", 0, maxTimerMs),
    base64Share: input.findNumber("base64Share", 0, 1),
  };
  if (input.get("urlLifetimeMs") === null) return { ...omitUndefined(rest), urlLifetimeMs: undefined };
  return omitUndefined({ ...rest, urlLifetimeMs: input.findNumber("urlLifetimeMs", 0) });
}

function readTarget(input: Input): PictureTarget {
  return omitUndefined({ chatId: input.findText("chatId"), version: input.findText("version") });
}

function parseAnswer(value: unknown): ScriptedPicture {
  if (typeof value === "string") return parseName(value);
  const input = new Input(value, ["status", "headers", "body", "base64"], "an answer");
  const status = input.getNumber("status", 200, 599);
  const headers = parseHeaders(input.get("headers"));
  const base64 = input.findText("base64");
  if (base64 !== undefined) return { status, headers, body: Buffer.from(base64, "base64") };
  const body = input.get("body");
  return { status, headers, body: body instanceof Uint8Array ? body : toBody(body) };
}

function parseName(text: string): PictureOutcomeName {
  if (isPictureOutcomeName(text)) return text;
  throw new ControlInputError(
    `unknown outcome of a picture "${text}": GET /__control/picture-outcomes lists them`,
  );
}

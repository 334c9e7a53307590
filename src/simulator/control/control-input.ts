import { validateHeaderName, validateHeaderValue } from "node:http";
import { isOutcomeName, type OutcomeName } from "../outcomes/outcomes.ts";
import type { ClearKind } from "../outcomes/outcome-spec.ts";
import type { Script, ScriptedAnswer, ScriptTarget } from "../world/scripts.ts";
import { maxListed, type ContactListSize } from "../world/contact-list.ts";
import type { FaultShares, Method } from "../world/simulator-options.ts";

/** What a caller of the control endpoint got wrong, in words for that caller. */
export class ControlInputError extends Error {
  override readonly name = "ControlInputError";
}

/** The members of a JSON object, or of a query, read one by one. An unknown member is an error. */
export class Input {
  readonly #members: ReadonlyMap<string, unknown>;
  readonly #where: string;

  constructor(value: unknown, known: readonly string[], where = "the body") {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new ControlInputError(`${where} must be a JSON object`);
    }
    this.#members = new Map(Object.entries(value));
    this.#where = where;
    for (const key of this.#members.keys()) {
      if (!known.includes(key)) {
        throw new ControlInputError(`${where} has an unknown member "${key}": known are ${known.join(", ")}`);
      }
    }
  }

  get(key: string): unknown {
    return this.#members.get(key);
  }

  getText(key: string): string {
    return this.findText(key) ?? this.#fail(key, "is missing");
  }

  findText(key: string): string | undefined {
    const value = this.get(key);
    if (value === undefined || (typeof value === "string" && value !== "")) return value;
    return this.#fail(key, "must be a text that is not empty");
  }

  getNumber(key: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
    return this.findNumber(key, min, max) ?? this.#fail(key, "is missing");
  }

  findNumber(key: string, min: number, max = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    if (typeof value === "number" && value >= min && value <= max) return value;
    return this.#fail(key, `must be a number from ${min} to ${max}`);
  }

  /** A whole number written in digits, as a query has it. */
  findDigits(key: string): number | undefined {
    const text = this.findText(key);
    if (text === undefined) return undefined;
    return /^\d{1,15}$/.test(text) ? Number(text) : this.#fail(key, "must be a whole number");
  }

  findOneOf<Choice extends string>(key: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.get(key);
    if (value === undefined) return undefined;
    return (
      choices.find((choice) => choice === value) ?? this.#fail(key, `must be one of ${choices.join(", ")}`)
    );
  }

  #fail(key: string, problem: string): never {
    throw new ControlInputError(`"${key}" in ${this.#where} ${problem}`);
  }
}

/** `value` without its undefined members, as optional properties want it. */
export function omitUndefined<Value extends object>(
  value: Value,
): { [Key in keyof Value]?: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as {
    [Key in keyof Value]?: Exclude<Value[Key], undefined>;
  };
}

export const methods: readonly Method[] = ["getAvatar", "getStateInstance", "getContacts"];
export const clearKinds: readonly ClearKind[] = ["present", "absent", "hidden", "invalid"];
const targetKeys = ["instanceId", "chatId", "method"];

export function parseTarget(value: unknown): ScriptTarget {
  return readTarget(new Input(value, targetKeys, "the query"));
}

export function parseScript(value: unknown): Script {
  const input = new Input(value, [...targetKeys, "answers", "times"]);
  const answers = input.get("answers");
  if (!Array.isArray(answers)) throw new ControlInputError(`"answers" in the body must be a list`);
  const times = input.get("times") === "forever" ? "forever" : input.findNumber("times", 0);
  return { ...readTarget(input), answers: answers.map(parseAnswer), ...omitUndefined({ times }) };
}

export function parseFaults(value: unknown): FaultShares {
  return parseShares(value, parseOutcomeName);
}

/** Reads an object of names and shares; `parseName` throws for a name that is none. */
export function parseShares<Name extends string>(
  value: unknown,
  parseName: (text: string) => Name,
): { readonly [Key in Name]?: number } {
  const where = "the faults";
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ControlInputError(`${where} must be an object of outcome names and shares`);
  }
  const names = Object.keys(value).map(parseName);
  const input = new Input(value, names, where);
  const shares = names.map((name) => [name, input.getNumber(name, 0, 1)] as const);
  const total = shares.reduce((sum, [, share]) => sum + share, 0);
  if (total > 1 + 1e-9) throw new ControlInputError(`${where} add up to ${total}: at most 1`);
  return Object.fromEntries(shares) as { [Key in Name]?: number };
}

export function parseContactListSize(value: unknown): ContactListSize {
  const input = new Input(value, ["users", "groups", "others"], "the contacts");
  const read = (key: keyof ContactListSize) => Math.floor(input.getNumber(key, 0, maxListed));
  return { users: read("users"), groups: read("groups"), others: read("others") };
}

function readTarget(input: Input): ScriptTarget {
  return omitUndefined({
    instanceId: input.findText("instanceId"),
    chatId: input.findText("chatId"),
    method: input.findOneOf("method", methods),
  });
}

function parseAnswer(value: unknown): ScriptedAnswer {
  if (typeof value === "string") return parseOutcomeName(value);
  const input = new Input(value, ["outcome", "status", "headers", "body", "delayMs"], "an answer");
  const delay = omitUndefined({ delayMs: input.findNumber("delayMs", 0, 2 ** 31 - 1) });
  const outcome = input.findText("outcome");
  if (outcome !== undefined) return { outcome: parseOutcomeName(outcome), ...delay };
  const status = input.getNumber("status", 200, 599);
  return { status, headers: parseHeaders(input.get("headers")), body: toBody(input.get("body")), ...delay };
}

function parseOutcomeName(text: string): OutcomeName {
  if (isOutcomeName(text)) return text;
  throw new ControlInputError(`unknown outcome "${text}": GET /__control/outcomes lists them`);
}

export function parseHeaders(value: unknown = {}): Record<string, string> {
  if (typeof value !== "object" || value === null) throw new ControlInputError(`"headers" must be an object`);
  const headers = Object.entries(value).map(([name, text]) => [name, String(text)] as const);
  for (const [name, text] of headers) {
    try {
      validateHeaderName(name);
      validateHeaderValue(name, text);
    } catch {
      throw new ControlInputError(`the header "${name}" cannot be sent`);
    }
  }
  return Object.fromEntries(headers);
}

/** A text is sent as it is, anything else as JSON. */
export function toBody(value: unknown = ""): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

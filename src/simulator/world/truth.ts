import { toAvatarPath } from "../outcomes/avatar-url.ts";
import type { ClearKind } from "../outcomes/outcome-spec.ts";
import { findOutcomeByDigits, getOutcome, type OutcomeName } from "../outcomes/outcomes.ts";
import { findPictureOutcomeByDigits } from "../outcomes/picture-outcomes.ts";
import { createRandomOf } from "../outcomes/random.ts";

/** What a lookup of a chat must end in when it is tried often enough. */
export type Truth =
  | {
      readonly kind: "present";
      /** The URL's path without the query; undefined where the answer has the picture itself. */
      readonly version: string | undefined;
    }
  | { readonly kind: Exclude<ClearKind, "present"> }
  /** A chat whose number asks for an outcome that is never clear. */
  | { readonly kind: "unanswered" };

/** A person changes the picture or its privacy. */
export interface TruthChange {
  readonly chatId: string;
  /** Without it the change holds for every instance. */
  readonly instanceId?: string;
  /** `present` unless told. */
  readonly kind?: ClearKind;
  /** Which of the chat's pictures: 0 is the first, each other number is another picture. */
  readonly picture?: number;
  /**
   * The number of the picture at whose path this one lies; its own unless told. Another one is the same path with other
   * bytes, or another path with the same bytes.
   */
  readonly address?: number;
}

/** What the next answer about a chat is before any fault. */
export interface TruthPlan {
  readonly outcome: OutcomeName;
  /** Asked for by its digits, it is told as it is; changed by hand, it knows no first troubles. */
  readonly source: "change" | "digits" | "seed";
}

/** The truth about each chat: changed by hand, or asked for by its number, or drawn from the seed. */
export class Truths {
  readonly #changes = new Map<string, TruthChange>();
  /** Paths where another picture lies than their own, with the path of that one. */
  readonly #moved = new Map<string, string>();
  readonly #seed: number;
  readonly #pictures: boolean;

  /** With `pictures`, a number may ask for a fault of its picture. */
  constructor(seed: number, pictures: boolean) {
    this.#seed = seed;
    this.#pictures = pictures;
  }

  change(change: TruthChange): void {
    this.#changes.set(`${change.instanceId ?? "*"} ${change.chatId}`, change);
    const { chatId, picture = 0, address = picture } = change;
    const path = toAvatarPath(this.#seed, chatId, address);
    if (address === picture) this.#moved.delete(path);
    else this.#moved.set(path, toAvatarPath(this.#seed, chatId, picture));
  }

  plan(instanceId: string, chatId: string): TruthPlan {
    const changed = this.#findChange(instanceId, chatId);
    if (changed !== undefined) {
      return { outcome: this.#toOutcome(changed.kind ?? "present", chatId), source: "change" };
    }
    const asked = this.#findAsked(chatId);
    if (asked !== undefined) return { outcome: asked, source: "digits" };
    return { outcome: this.#toOutcome(drawKind(chatId, this.#seed), chatId), source: "seed" };
  }

  get(instanceId: string, chatId: string): Truth {
    const { outcome } = this.plan(instanceId, chatId);
    const { clear: kind, inline } = getOutcome(outcome);
    if (kind === undefined) return { kind: "unanswered" };
    if (kind !== "present") return { kind };
    const version = inline === true ? undefined : this.getAvatarPath(instanceId, chatId);
    return { kind, version };
  }

  getAvatarPath(instanceId: string, chatId: string): string {
    const { picture = 0, address = picture } = this.#findChange(instanceId, chatId) ?? {};
    return toAvatarPath(this.#seed, chatId, address);
  }

  /** From what the picture is drawn that lies at a path: another text is another picture. */
  getPictureSeed(path: string): string {
    return `${this.#seed} ${this.#moved.get(path) ?? path}`;
  }

  #findAsked(chatId: string): OutcomeName | undefined {
    if (this.#pictures && findPictureOutcomeByDigits(chatId) !== undefined) return "present";
    return findOutcomeByDigits(chatId);
  }

  #findChange(instanceId: string, chatId: string): TruthChange | undefined {
    if (this.#changes.size === 0) return undefined;
    return this.#changes.get(`${instanceId} ${chatId}`) ?? this.#changes.get(`* ${chatId}`);
  }

  #toOutcome(kind: ClearKind, chatId: string): OutcomeName {
    if (kind !== "invalid") return kind;
    return createRandomOf(`refusal of ${chatId}`, this.#seed)() < 0.5 ? "bad-request-200" : "bad-request-400";
  }
}

function drawKind(chatId: string, seed: number): ClearKind {
  const draw = createRandomOf(`truth of ${chatId}`, seed)();
  if (draw < 0.64) return "present";
  if (draw < 0.83) return "absent";
  return draw < 0.97 ? "hidden" : "invalid";
}

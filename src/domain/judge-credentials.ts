/** What is stored of where an instance is called and with what. */
export interface StoredCredentials {
  readonly apiUrl: string;
  readonly sealedToken: string;
}

/** `untrusted-host`: no apiUrl over HTTP may point there. `needs-token`: the stored one is not for that origin. */
export type CredentialRefusal = "untrusted-host" | "needs-token";

/** What a change does to the token, as judged of the row that is changed. */
export type CredentialJudgement<Refusal = CredentialRefusal> =
  | {
      readonly kind: "go";
      /** Undefined: what is stored stays. */
      readonly sealedToken: string | undefined;
      /** New credentials put a hold to the test, whose cause may have been the old ones. */
      readonly renews: boolean;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface JudgePorts {
  readonly mayPointTo: (apiUrl: string) => boolean;
  readonly toOrigin: (apiUrl: string) => string;
  /** Seals a token for an apiUrl. */
  readonly seal: (token: string, apiUrl: string) => string;
  /** What is stored, sealed anew for this apiUrl; undefined where that is not needed, or it cannot be read. */
  readonly sealAnew: (before: StoredCredentials, apiUrl: string) => string | undefined;
}

/** The credentials that a change gives; what is undefined stays. */
export interface CredentialWish {
  readonly apiUrl?: string | undefined;
  readonly token?: string | undefined;
}

/** Judges a change of the credentials that are stored. Pure but for its ports. */
export type CredentialJudge<Refusal> = (
  before: StoredCredentials,
  wish: CredentialWish,
  ports: JudgePorts,
) => CredentialJudgement<Refusal>;

/**
 * A change that comes over HTTP. The token is write-only there: a URL of one's own must not make us send it there. To be judged
 * under the row's lock: another change may come between.
 */
export function judgeApiChange(
  before: StoredCredentials,
  { apiUrl = before.apiUrl, token }: CredentialWish,
  { mayPointTo, toOrigin, seal, sealAnew }: JudgePorts,
): CredentialJudgement {
  const isMoved = apiUrl !== before.apiUrl;
  if (isMoved && !mayPointTo(apiUrl)) return { kind: "refused", refusal: "untrusted-host" };
  // A token is sealed anew each time: whether it is another one cannot be seen.
  if (token !== undefined) return { kind: "go", sealedToken: seal(token, apiUrl), renews: true };
  if (isMoved && toOrigin(apiUrl) !== toOrigin(before.apiUrl))
    return { kind: "refused", refusal: "needs-token" };
  return { kind: "go", sealedToken: sealAnew(before, apiUrl), renews: isMoved };
}

/** A change of the operator's, who may send the token where they like: it goes along, sealed for its new place. */
export function judgeOperatorChange(
  before: StoredCredentials,
  { apiUrl = before.apiUrl }: Pick<CredentialWish, "apiUrl">,
  { toOrigin, sealAnew }: Pick<JudgePorts, "toOrigin" | "sealAnew">,
): CredentialJudgement<"token-unreadable"> {
  const renews = apiUrl !== before.apiUrl;
  if (toOrigin(apiUrl) === toOrigin(before.apiUrl)) return { kind: "go", sealedToken: undefined, renews };
  const sealedToken = sealAnew(before, apiUrl);
  return sealedToken === undefined
    ? { kind: "refused", refusal: "token-unreadable" }
    : { kind: "go", sealedToken, renews };
}

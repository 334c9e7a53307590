import type { CallOptions } from "./call-options.ts";
import type { ApiKey, ApiKeyList, MadeApiKey, NewApiKey, Status } from "./wire.ts";

/** Where instances stand, and keys of the API: listed, made and revoked. */
export interface OperatorMethods {
  /** All keys, without their secrets. */
  listKeys(options?: CallOptions): Promise<ApiKeyList>;
  /** The key of this client. */
  getOwnKey(options?: CallOptions): Promise<ApiKey>;
  /** Makes a key, with no scope that the own one has not. */
  addKey(key: NewApiKey, options?: CallOptions): Promise<MadeApiKey>;
  /** Revokes a key for ever. */
  revokeKey(id: string, options?: CallOptions): Promise<void>;
  /** Where instances stand: share of the budget, holds and what to do about them, what waits. */
  getStatus(filter?: { readonly instanceId?: string | undefined }, options?: CallOptions): Promise<Status>;
}

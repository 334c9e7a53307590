import type { CallOptions } from "./call-options.ts";
import type { ApiKey, ApiKeyList, MadeApiKey, NewApiKey } from "./wire.ts";

/** Keys of the API: listed, made and revoked. */
export interface KeyMethods {
  /** All keys, without their secrets. */
  listKeys(options?: CallOptions): Promise<ApiKeyList>;
  /** The key of this client. */
  getOwnKey(options?: CallOptions): Promise<ApiKey>;
  /** Makes a key, with no scope that the own one has not. */
  addKey(key: NewApiKey, options?: CallOptions): Promise<MadeApiKey>;
  /** Revokes a key for ever. */
  revokeKey(id: string, options?: CallOptions): Promise<void>;
}

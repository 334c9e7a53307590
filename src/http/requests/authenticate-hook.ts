import type { FastifyRequest, onRequestAsyncHookHandler } from "fastify";
import { parseInstanceId, type InstanceId } from "../../domain/instance-id.ts";
import { hasSecret } from "../../lib/secrets/api-token.ts";
import { findHookSecret } from "../../lib/secrets/hook-secret.ts";
import { ApiError } from "../answers/problem.ts";
import { createKeyCache } from "./key-cache.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The instance whose notifications the sender may tell; undefined on all routes but hooks. */
    hookOf: InstanceId | undefined;
  }
}

export interface HookSecretPorts {
  /** Finds the secrets of instances, in any order; those that take no notifications are left out. At most 1,000 at once. */
  findSecrets(
    ids: readonly string[],
  ): Promise<readonly { readonly id: string; readonly secretHmac: Buffer }[]>;
  /** HMAC-SHA256 of a secret, by this installation's key. */
  hmac(secret: string): Buffer;
}

export interface HookAuthenticationOptions {
  readonly signals: HookSecretPorts;
  /** Ms since 1970. */
  readonly now: () => number;
  /** Counts a request whose secret is none, by its address. @throws ApiError `rate-limited` */
  readonly countFailure: (request: FastifyRequest) => Promise<void>;
}

/**
 * Lets the notifications of an instance pass that come with its secret, before their body is read. An instance without a secret is as
 * one that does not exist, also in time.
 */
export function createHookAuthentication({
  signals,
  now,
  countFailure,
}: HookAuthenticationOptions): onRequestAsyncHookHandler {
  const cache = createKeyCache(signals.findSecrets, now);
  return async (request, reply) => {
    if (request.routeOptions.config.access !== "hook") return;
    const id = parseInstanceId((request.params as { instance?: unknown }).instance);
    const secret = findHookSecret(request.headers.authorization);
    const stored = id && (await cache.find(id));
    if (hasSecret(stored?.secretHmac, signals.hmac(secret ?? "")) && secret !== undefined) {
      request.hookOf = id;
      return;
    }
    await countFailure(request);
    void reply.header("www-authenticate", "Bearer");
    throw new ApiError(
      "unauthorized",
      "this needs the token of the instance's hook in the header Authorization: avatars instance hook makes one",
    );
  };
}

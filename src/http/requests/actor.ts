import type { FastifyRequest } from "fastify";
import type { Actor } from "../../domain/audit.ts";
import { getKey } from "./access.ts";
import { toCallerAddress } from "./caller-address.ts";

/** Who asks, for the audit log: the key of a request whose route is not open. */
export function toActor(request: Pick<FastifyRequest, "apiKey" | "id" | "ip" | "socket">): Actor {
  const { id, label } = getKey(request);
  return { kind: "key", id, name: label, requestId: request.id, address: toCallerAddress(request) };
}

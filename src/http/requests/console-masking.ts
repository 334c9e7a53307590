import type { FastifyInstance } from "fastify";
import { maskNumbers } from "../answers/mask-numbers.ts";
import { ApiError } from "../answers/problem.ts";

/** Masks the numbers in all that pages of the console are answered: what they are not told, no browser keeps. */
export function addConsoleMasking(app: FastifyInstance): void {
  app.addHook("onRequest", async (request) => {
    if (request.isConsole && request.routeOptions.config.holdsNumbers) {
      throw new ApiError("forbidden", "this holds numbers, which the console does not show");
    }
  });
  app.addHook("preSerialization", async (request, _reply, body) =>
    request.isConsole ? maskNumbers(body).masked : body,
  );
}

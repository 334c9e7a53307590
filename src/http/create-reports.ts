import type { FastifyReply, FastifyRequest } from "fastify";
import { problemType } from "./answers/problem.ts";
import { toApiError } from "./answers/to-api-error.ts";
import type { ApiEvents } from "./context/api-context.ts";
import { isOfGoneSender } from "./requests/sender-gone.ts";

/** nginx's, for a sender who has gone before there was an answer. */
const goneStatus = 499;

/** The answers to errors, and the reports of requests. */
export interface Reports {
  /** Answers an error as a problem; one that is ours is reported. */
  sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void;
  /** Reports what failed when the answer had begun. */
  tellCut(request: FastifyRequest, error: unknown): void;
  /**
   * Reports a request once its answer is closed.
   * @param startedAt by `performance.now()`: reply.elapsedTime stays 0 without a logger and without hooks onResponse
   */
  tellAnswered(request: FastifyRequest, reply: FastifyReply, startedAt: number): void;
}

export interface ReportPorts {
  /** Knows the errors of a Postgres that is slow or away. */
  readonly isTransient: (error: unknown) => boolean;
}

export function createReports({ isTransient }: ReportPorts, events: ApiEvents): Reports {
  function tellFailed(request: FastifyRequest, problem: string, error: unknown): void {
    const { id: requestId, routeOptions } = request;
    events.apiFailed({ requestId, route: routeOptions?.url ?? "none", problem }, error);
  }

  return {
    sendProblem(error, request, reply) {
      const { id: requestId } = request;
      // The request is told of with the others that were answered.
      if (isLeft(request, reply) && isOfGoneSender(error)) return void reply.code(goneStatus).send();
      const apiError = toApiError(error, isTransient);
      if (apiError.status >= 500) tellFailed(request, apiError.kind, apiError.options.cause);
      void reply
        .code(apiError.status)
        .headers(apiError.headers)
        .type(problemType)
        .header("x-request-id", requestId)
        .serializer((problem: unknown) => JSON.stringify(problem))
        .send(apiError.toProblem(requestId));
    },
    tellCut(request, error) {
      if (!isOfGoneSender(error)) tellFailed(request, "cut", error);
    },
    tellAnswered(request, reply, startedAt) {
      const { raw } = reply;
      events.apiAnswered({
        requestId: request.id,
        method: request.method,
        route: request.routeOptions?.url ?? "none",
        status: raw.headersSent ? raw.statusCode : goneStatus,
        tookMs: Math.round(performance.now() - startedAt),
        key: request.apiKey?.id,
        ...(!raw.writableFinished && { aborted: true as const }),
      });
    },
  };
}

/** Has the sender hung up, in the middle of its request or before its answer? */
function isLeft(request: FastifyRequest, { raw }: FastifyReply): boolean {
  return raw.destroyed || raw.closed || (request.raw.destroyed && !request.raw.complete);
}

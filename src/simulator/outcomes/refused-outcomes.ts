import type { OutcomeSpec } from "./outcome-spec.ts";
import { toApiError, toHtml, toJson, toText } from "./reply.ts";

const upgradeAdvice =
  "Please go to your personal account and change the tariff to business https://console.green-api.com";

/** The chats that an instance on the free plan may still ask after `correspondents-466`. */
const correspondents = ["79000000001@c.us", "79000000002@c.us", "79000000003@c.us"] as const;

/** What the API says with HTTP 4xx and 5xx: `99`, the status, and a digit to tell variants apart. */
export const refusedOutcomes = {
  "bad-request-400": {
    digits: "994000",
    means: "not a valid chat",
    clear: "invalid",
    respond: (call) => toApiError(400, "bad request data", call),
  },
  "validation-400": {
    digits: "994001",
    means: "not a valid chat, by the validation's words",
    clear: "invalid",
    respond: (call) =>
      toApiError(
        400,
        "Validation failed. Details: 'chatId' must be in the format phone_number@c.us or group_id@g.us",
        call,
      ),
  },
  "starting-400": {
    digits: "994002",
    means: "the instance restarts",
    respond: (call) => toApiError(400, "instance in starting process try later", call),
  },
  "not-authorized-400": {
    digits: "994003",
    means: "the instance is starting or logged out",
    respond: (call) => toApiError(400, "instance is starting or not authorized", call),
  },
  "account-not-authorized-400": {
    digits: "994004",
    means: "the same in its older words, as plain text",
    respond: () => toText("instance account not authorized", 400),
  },
  "expired-400": {
    digits: "994005",
    means: "the instance is not paid for",
    respond: (call) => toApiError(400, "Instance account is expired. Please renew the subscription.", call),
  },
  "deleted-400": {
    digits: "994006",
    means: "the instance is gone",
    respond: (call) => toApiError(400, "Instance is deleted", call),
  },
  "unknown-400": {
    digits: "994007",
    means: "a 400 nobody knows",
    respond: (call) => toApiError(400, "internal check failed", call),
  },
  "unauthorized-401": {
    digits: "994010",
    means: "wrong token, empty body",
    respond: () => toText("", 401),
  },
  "forbidden-403": {
    digits: "994030",
    means: "wrong id or host, a page",
    respond: () => toHtml("403 Forbidden", 403),
  },
  "not-found-404": {
    digits: "994040",
    means: "a broken instance",
    respond: (call) => toApiError(404, `Cannot POST ${call.requestPath}`, call),
  },
  "throttled-429": {
    digits: "994290",
    means: "over the rate, without advice",
    respond: () => toJson({ statusCode: 429, message: "Too Many Requests" }, 429),
  },
  "throttled-429-seconds": {
    digits: "994291",
    means: "over the rate, Retry-After in seconds",
    respond: () => toText("Too Many Requests", 429, { "retry-after": "2" }),
  },
  "throttled-429-date": {
    digits: "994292",
    means: "over the rate, Retry-After as a date",
    respond: (call) => {
      const retryAt = new Date(call.nowMs + 3000).toUTCString();
      return toText("Too Many Requests", 429, { "retry-after": retryAt });
    },
  },
  "quota-466": {
    digits: "994660",
    means: "the month's quota of the method is spent",
    respond: () => toJson({ invokeStatus: toSpent("QUOTE_EXCEEDED") }, 466),
  },
  "correspondents-466": {
    digits: "994661",
    means: "the free plan's three chats are spent",
    respond: () =>
      toJson(
        {
          invokeStatus: { method: "getavatar", used: 67, total: 0, status: "QUOTE_ALLOWED" },
          correspondentsStatus: {
            method: "correspondents",
            used: 3,
            total: 3,
            status: "CORRESPONDENTS_QUOTE_EXCEEDED",
            description: `Monthly quota has been exceeded. You can only send or receive messages from these numbers: ${correspondents.join(",")}. ${upgradeAdvice}`,
          },
        },
        466,
      ),
  },
  "quota-466-respelt": {
    digits: "994662",
    means: "the month's quota, in the other spelling",
    respond: () => toJson({ invokeStatus: toSpent("QUOTA_EXCEEDED") }, 466),
  },
  "client-closed-499": {
    digits: "994990",
    means: "the gateway saw the client hang up",
    respond: () => toText("", 499),
  },
  "server-error-500": {
    digits: "995000",
    means: "a fault inside",
    respond: (call) => toApiError(500, "Internal server error", call),
  },
  "bad-gateway-502": {
    digits: "995020",
    means: "a gateway's page",
    respond: () => toHtml("502 Bad Gateway", 502),
  },
  "unavailable-503": {
    digits: "995030",
    means: "a gateway's page",
    respond: () => toHtml("503 Service Temporarily Unavailable", 503),
  },
  "gateway-timeout-504": {
    digits: "995040",
    means: "a gateway's page",
    respond: () => toHtml("504 Gateway Time-out", 504),
  },
} satisfies Record<string, OutcomeSpec>;

function toSpent(status: string) {
  return {
    method: "getavatar",
    used: 100,
    total: 100,
    status,
    description: `Monthly quota has been exceeded. ${upgradeAdvice}`,
  };
}

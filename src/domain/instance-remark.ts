import type { InstanceId } from "./instance-id.ts";

/** Instances of the WhatsApp Business API (WABA): seen in the vendor's issue tracker. */
const wabaPrefix = "7835";

/**
 * What a person should know of an instance before contacts are given to it, as the end of a sentence that begins with the instance;
 * undefined: nothing. It is called all the same, in case the provider changes that.
 * @param apiUrl undefined: it is not looked at
 */
export function findInstanceRemark(id: InstanceId, apiUrl?: string): string | undefined {
  if (id.startsWith(wabaPrefix))
    return `is of the WhatsApp Business API, as its first digits ${wabaPrefix} tell: these instances have no avatars`;
  // https://green-api.com/v3/docs/api/: MAX alone is called below /v3.
  if (apiUrl !== undefined && /^https?:\/\/[^/]{1,300}\/v3(?:\/|$)/i.test(apiUrl))
    return "is of the messenger MAX, as /v3 in its URL tells: chat ids of MAX are not read here yet";
  return undefined;
}

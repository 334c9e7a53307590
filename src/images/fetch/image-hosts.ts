/**
 * Where avatars are served, by messenger: each with all hosts below it. Seen in answers, and in the vendor's pages of getAvatar
 * (https://green-api.com/v3/docs/api/service/GetAvatar). Telegram has none of its own there; what the vendor keeps for it is
 * taken from the vendor's hosts, others have to be named in AVATARS_IMAGE_HOSTS.
 */
const imageDomains = {
  whatsapp: ["whatsapp.net"],
  max: ["oneme.ru"],
  greenApi: ["green-api.com", "greenapi.com"],
} as const;

const suffixes = Object.values(imageDomains)
  .flat()
  .map((domain) => `.${domain}`);

/** Is this a host that avatars are served from? `hostname` as URLs have it. */
export function isImageHost(hostname: string): boolean {
  return suffixes.some((suffix) => hostname.endsWith(suffix));
}

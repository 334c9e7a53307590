/** How pictures are told of and served. */
export interface PictureTuning {
  /** The median time until a picture begins to arrive; each takes between half of it and one and a half. */
  readonly pictureLatencyMs: number;
  /** The pause between two pieces of a slow picture. */
  readonly dripMs: number;
  /** How long URLs are valid; undefined: 2 to 10 days, as WhatsApp's. */
  readonly urlLifetimeMs: number | undefined;
  /** The share of answers, 0 to 1, that have the picture in `base64Avatar` instead of its URL. */
  readonly base64Share: number;
}

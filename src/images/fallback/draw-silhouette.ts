/** A ground, and the figure on it. */
export interface SilhouetteColours {
  readonly ground: string;
  readonly figure: string;
}

/**
 * Twelve hues of one lightness and chroma (OKLCH 0.58 and 0.1; the figures 0.96 and 0.025), so that no contact stands out. The
 * grounds differ from white and from black lists alike, by 3 to 1 at least (WCAG 2.2, 1.4.11), and so do the figures from them.
 */
export const silhouetteColours: readonly SilhouetteColours[] = [
  { ground: "#ad6067", figure: "#ffebec" },
  { ground: "#ab6646", figure: "#ffede4" },
  { ground: "#9d712d", figure: "#fcf0e0" },
  { ground: "#837d2f", figure: "#f4f3e0" },
  { ground: "#608749", figure: "#ebf6e5" },
  { ground: "#338d6b", figure: "#e3f8ee" },
  { ground: "#008c8d", figure: "#e0f7f7" },
  { ground: "#2286a7", figure: "#e1f6ff" },
  { ground: "#507cb5", figure: "#e7f3ff" },
  { ground: "#7471b3", figure: "#f0f0ff" },
  { ground: "#9167a3", figure: "#f8edfe" },
  { ground: "#a46188", figure: "#ffebf6" },
];

/**
 * A neutral head with shoulders for a contact without an image, as SVG. It fills its square, and keeps off the edge
 * of the circle that a list may cut out of it. Colours are attributes: a page's policy may forbid styles.
 * @param contactSeed by createImageSeed: the colour is the contact's own
 * @param size pixels
 */
export function drawSilhouette(contactSeed: number, size: number): string {
  const colours = silhouetteColours[contactSeed % silhouetteColours.length];
  if (colours === undefined) throw new RangeError("the seed of a drawing is a whole number from 0");
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}" viewBox="0 0 64 64">`,
    `<rect width="64" height="64" fill="${colours.ground}"/>`,
    `<g fill="${colours.figure}">`,
    `<circle cx="32" cy="24" r="10"/>`,
    `<path d="M15 53c0-9 7-15 17-15s17 6 17 15a27 27 0 0 1-34 0z"/>`,
    `</g></svg>`,
  ].join("");
}

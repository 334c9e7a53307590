/** The image of a contact, as people and programs see it. */
export interface ContactImage {
  /** Its address, the same for ever, whatever it shows. Undefined: no API serves images. */
  readonly url: string | undefined;
  /** Of its bytes, in hex. Undefined: there is none to show. */
  readonly sha256: string | undefined;
  /** Pixels. */
  readonly width: number | undefined;
  readonly height: number | undefined;
  /** The moment when its bytes were taken. */
  readonly at: Date | undefined;
  /** It is the last good one, and may not be the present one: the contact is hidden now, or a newer one is not taken yet. */
  readonly isOld: boolean;
}

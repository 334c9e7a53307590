/** What a check of the images has found. */
export interface ImageCheck {
  /** Images that rows tell of, and their bytes without sizes. */
  readonly images: number;
  readonly bytes: number;
  /** Of these, images whose bytes are not there. */
  readonly missing: number;
  /** Contacts that show them, and have theirs taken again. */
  readonly asked: number;
  /** Images that nothing shows. */
  readonly unshown: number;
  /** Sizes beside originals. */
  readonly sizes: number;
  /** Bytes that no row tells of, for longer than ten minutes. */
  readonly orphans: number;
}

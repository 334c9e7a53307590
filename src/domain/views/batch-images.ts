/** How far the images of a batch are. */
export interface BatchImages {
  /** Contacts whose image is to be taken, or taken again later. */
  readonly wanted: number;
  /** Contacts that show one. */
  readonly shown: number;
  /** Contacts whose latest image is not there, by why: the code of the last try, or `not-tried`. */
  readonly missing: Readonly<Record<string, number>>;
}

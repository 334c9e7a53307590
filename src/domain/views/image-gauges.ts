/** Where the images stand, over all instances. */
export interface ImageGauges {
  /** Avatars whose image is to be taken. */
  readonly wanted: number;
  /** How long the oldest of them is overdue, seconds; 0 where none is. */
  readonly oldestWantedSeconds: number;
  /** Images that are kept, and their bytes without sizes. */
  readonly images: number;
  readonly bytes: number;
  /** Contacts that show an image. */
  readonly shown: number;
  /** Contacts with a picture, whether its image is kept or not. */
  readonly present: number;
}

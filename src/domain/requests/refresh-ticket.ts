/** The ticket by which a refresh is waited for. */
export interface RefreshTicket {
  readonly batchId: string;
  /** 0: the contact was erased since. */
  readonly contactId: number;
  readonly requestedAt: Date;
}

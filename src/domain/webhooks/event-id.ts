/** The `webhook-id` of an event at an endpoint: the same for all tries. No other endpoint has it, in no installation. */
export function toEventId(endpointId: string, feedId: number): string {
  return `msg_${endpointId}_${feedId}`;
}

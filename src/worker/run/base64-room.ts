import type { LookupRecord } from "../../domain/ledger/lookup-record.ts";

/** Room for images that answers had, while their records wait to be written: Postgres may be away for long. */
export interface Base64Room {
  /** The record, without its image where there is no room: the image is taken from its URL then, or asked for again. */
  admit(record: LookupRecord): LookupRecord;
  /** The record is written, or never will be. */
  leave(record: LookupRecord): void;
}

/** @param mostChars of base64, over all records; 0: no images are kept */
export function createBase64Room(mostChars: number): Base64Room {
  let used = 0;
  return {
    admit(record) {
      const chars = getBase64(record)?.length ?? 0;
      if (used + chars > mostChars) return withoutBase64(record);
      used += chars;
      return record;
    },
    leave(record) {
      used -= getBase64(record)?.length ?? 0;
    },
  };
}

/** The image that the answer had; undefined: it had none. */
export function getBase64({ decision }: LookupRecord): string | undefined {
  return decision.kind === "answer" && decision.avatar.kind === "seen" ? decision.avatar.base64 : undefined;
}

function withoutBase64(record: LookupRecord): LookupRecord {
  const { decision } = record;
  if (decision.kind !== "answer" || decision.avatar.kind !== "seen") return record;
  return { ...record, decision: { ...decision, avatar: { ...decision.avatar, base64: undefined } } };
}

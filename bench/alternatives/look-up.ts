import type { Pool } from "undici";

/** A row of the table of avatars. */
export interface AvatarRow {
  readonly chatId: string;
  readonly status: "present" | "absent";
  readonly url: string | null;
  readonly checkedAt: Date;
}

/** Connections of the tuned ones. */
export const connections = 50;

const path = "/waInstance1101000001/getAvatar/token";
const headers = { "content-type": "application/json", accept: "application/json" };

/** One call of getAvatar. @throws for all but a clear answer */
export async function lookUp(pool: Pool, chatId: string): Promise<AvatarRow> {
  const checkedAt = new Date();
  const { statusCode, body } = await pool.request({
    method: "POST",
    path,
    headers,
    body: JSON.stringify({ chatId }),
  });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`getAvatar answers ${statusCode}`);
  return toRow(chatId, JSON.parse(text), checkedAt);
}

/** @throws for all but a clear answer */
export function toRow(chatId: string, answer: unknown, checkedAt: Date): AvatarRow {
  const { urlAvatar } = answer as { urlAvatar?: unknown };
  if (typeof urlAvatar !== "string") throw new Error("getAvatar gives no clear answer");
  return urlAvatar === ""
    ? { chatId, status: "absent", url: null, checkedAt }
    : { chatId, status: "present", url: urlAvatar, checkedAt };
}

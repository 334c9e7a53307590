/** What the instant provider answers for a chat: every fifth has no picture set. The rows that follow are checked by the same rule. */
export interface Answers {
  /** The body of the answer. */
  toBody(digits: string): string;
}

const urlStart = "https://pps.whatsapp.net/v/t61.24694-24/";
const lifetimeMs = 10 * 86_400_000;

/** Answers as GREEN-API gives them, of its usual length. */
export function createAnswers(nowMs: number): Answers {
  const expiry = Math.floor((nowMs + lifetimeMs) / 1000).toString(16);
  const query = `?ccb=11-4&oh=01_Q5AaIEg3s1bq6VYJcFbYfTmO5sZ0m7ZxkW1pA9dHnRt4uLcQ&oe=${expiry}&_nc_sid=5e03e0&_nc_cat=108`;
  const absent = JSON.stringify({ urlAvatar: "", available: true });
  return {
    toBody: (digits) =>
      Number(digits.at(-1)) % 5 === 0
        ? absent
        : `{"urlAvatar":"${urlStart}${digits}_n.jpg${query}","available":true}`,
  };
}

/** In SQL: is that the row of its contact? For tables or views with `chat_id`, `status` and `url`. */
export const isRightSql = `case
  when right(split_part(chat_id, '@', 1), 1) in ('0', '5') then status = 'absent' and url is null
  else status = 'present' and url like '${urlStart}' || split_part(chat_id, '@', 1) || '\\_n.jpg?%' end`;

/** What a program of this folder is told, as JSON in its only argument. */
export interface AlternativeOptions {
  readonly databaseUrl: string;
  /** Empty: it needs none. */
  readonly redisUrl: string;
  readonly apiUrl: string;
  /** BullMQ's queue. */
  readonly queueName: string;
}

/** What a job is about. */
export interface LookupJob {
  readonly chatId: string;
}

export function readAlternativeOptions(): AlternativeOptions {
  return JSON.parse(process.argv[2] ?? "{}") as AlternativeOptions;
}

/** The task of graphile-worker. */
export const taskName = "lookup";

/** Tables of the alternatives: what is to be looked up, for the one that has no queue, and what was found. */
export const tablesSql = `
create table todo (id bigint generated always as identity primary key, chat_id text not null);
create table avatars (chat_id text primary key, status text not null, url text, checked_at timestamptz not null);
`;

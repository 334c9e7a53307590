import { randomUUID } from "node:crypto";
import pg from "pg";
import { inject } from "vitest";
import { runAsAdmin } from "./run-as-admin.ts";

/** Somebody else's database, and who may log in there. */
export interface Crm {
  /** Of the role, with its password. */
  readonly url: string;
  /** A condition for pg_stat_activity: the sessions of the product in this database. */
  readonly sessions: string;
  /** As its owner. */
  query<Row extends pg.QueryResultRow>(sql: string): Promise<Row[]>;
  close(): Promise<void>;
}

/** A database with the schema `crm`, in which a role with a password owns what `tables` creates. */
export async function openCrm(tables: string): Promise<Crm> {
  const name = `crm_${randomUUID().replaceAll("-", "")}`;
  const password = `hunter2-${randomUUID()}`;
  await runAsAdmin(`create role ${name} login password '${password}'`);
  await runAsAdmin(`create database ${name} owner ${name} template template0`);
  const url = new URL(inject("adminUrl"));
  url.pathname = `/${name}`;
  url.username = name;
  url.password = password;
  const client = new pg.Client(url.href);
  await client.connect();
  await client.query(`create schema crm; ${tables}`);
  return {
    url: url.href,
    sessions: `where datname = '${name}' and application_name = 'contact-avatars'`,
    async query<Row extends pg.QueryResultRow>(sql: string) {
      const { rows } = await client.query<Row>(sql);
      return rows;
    },
    async close() {
      await client.end();
      await runAsAdmin(`drop database ${name} with (force)`);
      await runAsAdmin(`drop role ${name}`);
    },
  };
}

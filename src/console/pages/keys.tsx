import { useState } from "preact/hooks";
import type { ApiKey, ApiKeyList, MadeApiKey } from "../../client/wire.ts";
import { call } from "../data/api.ts";
import { useLoaded } from "../data/use-data.ts";
import { Confirmed } from "../parts/confirm.tsx";
import { PageHead, Panel } from "../parts/page.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { Secret } from "../parts/secret.tsx";
import { useToasts } from "../parts/toasts.tsx";
import { formatDay, formatRelative } from "../words/format.ts";
import { texts } from "../words/texts.ts";
import { NewKey } from "./new-key.tsx";

const words = texts.keys;
const { none } = texts.common;
const tones = { active: "good", expired: "warn", revoked: "" } as const;

/** All keys of the API: who has which rights, and when a key was last used. */
export function Keys() {
  const [isAdding, setIsAdding] = useState(false);
  const keys = useLoaded("keys", (signal) => call<ApiKeyList>("GET", "v1/keys", { signal }));
  const [made, setMade] = useState<MadeApiKey>();
  return (
    <>
      <PageHead title={texts.pages.keys}>
        <button type="button" class="primary" onClick={() => setIsAdding(true)}>
          {words.add}
        </button>
      </PageHead>
      {isAdding && (
        <NewKey
          onClose={() => setIsAdding(false)}
          onMade={(key) => {
            setIsAdding(false);
            setMade(key);
            keys.reload();
          }}
        />
      )}
      {made && <Secret title={words.made} secret={made.token} onStored={() => setMade(undefined)} />}
      <Panel title={words.list}>
        <Problem error={keys.error} />
        {keys.value ? <KeyTable keys={keys.value.items} onDone={keys.reload} /> : !keys.error && <Loading />}
      </Panel>
    </>
  );
}

function KeyTable({ keys, onDone }: { readonly keys: readonly ApiKey[]; readonly onDone: () => void }) {
  const { columns } = words;
  const sorted = [...keys]
    .toReversed()
    .sort((a, b) => Number(a.state !== "active") - Number(b.state !== "active"));
  return (
    <div class="table-wrap">
      <table class="cards">
        <thead>
          <tr>
            <th scope="col">{columns.key}</th>
            <th scope="col">{columns.state}</th>
            <th scope="col">{columns.scopes}</th>
            <th scope="col">{columns.instances}</th>
            <th scope="col">{columns.used}</th>
            <th scope="col">{columns.expires}</th>
            <th scope="col">
              <span class="visually-hidden">{columns.actions}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((key) => (
            <KeyRow key={key.id} apiKey={key} onDone={onDone} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function KeyRow({ apiKey: key, onDone }: { readonly apiKey: ApiKey; readonly onDone: () => void }) {
  const toasts = useToasts();
  const { columns } = words;
  const name = key.label ?? key.id;

  async function revoke(): Promise<void> {
    await call("DELETE", `v1/keys/${key.id}`);
    toasts.say(words.revoked(name));
    onDone();
  }

  return (
    <tr>
      <td class="whole">
        <div class="name">
          <strong>{key.label ?? words.unnamed}</strong>
          <span class="id">avk_{key.id}</span>
        </div>
      </td>
      <td data-label={columns.state}>
        <span class={`badge ${tones[key.state]}`}>{words.states[key.state]}</span>
      </td>
      <td data-label={columns.scopes}>
        <span class="scopes">
          {key.scopes.map((scope) => (
            <span key={scope} class="badge">
              {scope}
            </span>
          ))}
        </span>
      </td>
      <td data-label={columns.instances}>{key.instanceIds?.join(", ") ?? texts.common.all}</td>
      <td class="nowrap" data-label={columns.used}>
        {key.lastUsedAt === null ? words.never : formatRelative(key.lastUsedAt)}
      </td>
      <td class="nowrap" data-label={columns.expires}>
        {key.expiresAt === null ? words.never : formatDay(key.expiresAt)}
      </td>
      <td class={key.state === "active" ? "right" : "right none"}>
        {key.state === "active" ? (
          <Confirmed label={words.revoke} question={words.revokeQuestion(name)} isDanger onConfirm={revoke} />
        ) : (
          none
        )}
      </td>
    </tr>
  );
}

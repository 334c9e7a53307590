import type { AvatarChange } from "../../client/wire.ts";
import { call, toUrl } from "../data/api.ts";
import { usePages, type Page } from "../data/use-pages.ts";
import { MoreButton } from "../parts/more.tsx";
import { Panel } from "../parts/page.tsx";
import { Picture } from "../parts/picture.tsx";
import { Loading, Problem } from "../parts/problem.tsx";
import { formatMoment, formatRelative } from "../words/format.ts";
import { texts } from "../words/texts.ts";

const words = texts.contact;
const thumbnail = 128;

/** How the picture of a contact changed: each time the one before and the one since, the latest first. */
export function ContactHistory({
  path,
  version,
}: {
  /** Of the contact in the API. */
  readonly path: string;
  /** With another one the history is read again. */
  readonly version: number;
}) {
  const list = usePages(`history ${path} ${version}`, (cursor, signal) =>
    call<Page<AvatarChange>>("GET", `${path}/history`, { query: { cursor, limit: "20" }, signal }),
  );
  return (
    <Panel title={words.history}>
      <Problem error={list.error} />
      {list.items.length === 0 &&
        (list.isOver ? <p class="empty">{words.noHistory}</p> : !list.error && <Loading lines={2} />)}
      {list.items.length > 0 && (
        <ol class="body history">
          {list.items.map((change) => (
            <li key={change.id}>
              <Side
                path={path}
                name={words.before}
                version={change.from}
                sha256={change.fromImageSha256}
                isKept={change.fromImageKept}
              />
              <span class="arrow muted" aria-hidden="true">
                →
              </span>
              <Side
                path={path}
                name={words.after}
                version={change.to}
                sha256={change.imageSha256}
                isKept={change.imageKept}
              />
              <span class="what">
                <strong>{toWords(change)}</strong>
                <span class="muted">
                  {formatMoment(change.at)} ({formatRelative(change.at)})
                </span>
              </span>
            </li>
          ))}
        </ol>
      )}
      <MoreButton pages={list} />
    </Panel>
  );
}

/** The picture on one side of a change, or why it is not there. */
function Side({
  path,
  name,
  version,
  sha256,
  isKept,
}: {
  readonly path: string;
  readonly name: string;
  /** Null: there was no picture. */
  readonly version: string | null;
  readonly sha256: string | null;
  readonly isKept: boolean;
}) {
  const src =
    version !== null && sha256 !== null && isKept
      ? toUrl(`${path}/images/${sha256}`, { size: String(thumbnail) })
      : undefined;
  const instead = version === null ? words.noPicture : words.notKept;
  return (
    <Picture src={src} size={thumbnail} alt={src === undefined ? `${name}: ${instead}` : name}>
      {instead}
    </Picture>
  );
}

function toWords({ from, to }: AvatarChange): string {
  if (to === null) return words.changes.removed;
  return from === null ? words.changes.first : words.changes.other;
}

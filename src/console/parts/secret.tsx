import { texts } from "../words/texts.ts";

/** A secret that is shown this once: it goes when it was kept. */
export function Secret({
  title,
  secret,
  onStored,
}: {
  readonly title: string;
  readonly secret: string;
  readonly onStored: () => void;
}) {
  return (
    <div class="secret" role="status">
      <strong>{title}</strong>
      <code>{secret}</code>
      <div class="actions">
        <button type="button" onClick={() => void navigator.clipboard?.writeText(secret)}>
          {texts.common.copy}
        </button>
        <button type="button" onClick={onStored}>
          {texts.common.stored}
        </button>
      </div>
    </div>
  );
}

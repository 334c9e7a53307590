import { CallError } from "../data/api.ts";
import { texts } from "../words/texts.ts";

/** An error in words for people. */
export function toWords(error: unknown): string {
  if (!(error instanceof CallError)) return texts.errors.other("");
  if (error.status === 0) return texts.errors.noAnswer;
  if (error.status === 403) return texts.errors.forbidden(error.message);
  return texts.errors.other(error.message);
}

export function Problem({ error }: { readonly error: unknown }) {
  if (error === undefined) return null;
  const isPassing = error instanceof CallError && error.isPassing;
  return (
    <p class="problem" role="alert">
      {toWords(error)} {isPassing && texts.common.retrying}
    </p>
  );
}

/** In place of what is not there yet. */
export function Loading({ lines = 4 }: { readonly lines?: number }) {
  return (
    <div class="loading" role="status">
      <span class="visually-hidden">{texts.common.loading}</span>
      {Array.from({ length: lines }, (_, index) => (
        <span key={index} aria-hidden="true" />
      ))}
    </div>
  );
}

export type SettingParse<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly expected: string };

const paths = {
  overview: "M4 13h6V4H4zm0 7h6v-5H4zm10 0h6v-9h-6zm0-16v5h6V4z",
  batches: "M4 6h16M4 12h16M4 18h10",
  contact: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zm-7 8a7 7 0 0 1 14 0",
  gallery: "M4 4h7v7H4zm9 0h7v7h-7zM4 13h7v7H4zm9 0h7v7h-7z",
  nights: "M20 14.5A8 8 0 1 1 9.5 4a6.5 6.5 0 0 0 10.5 10.5z",
  webhooks: "M9 8.5a3.5 3.5 0 1 1 5 3.2l2.6 4.6M7 13.2A3.5 3.5 0 1 0 10 17h6.5M16 14.5a3 3 0 1 1 .5 5",
  keys: "M15 9a4 4 0 1 1-3.8 5.3L9 16.5V19H6.5v2H3v-3.5l6.2-6.2A4 4 0 0 1 15 9zm1.2 3h.1",
  audit: "M8 4h11v16H5V7zM9 10h6M9 14h6M9 4v4H5",
  menu: "M4 7h16M4 12h16M4 17h16",
  upload: "M12 16V5m0 0L7.5 9.5M12 5l4.5 4.5M5 16v3h14v-3",
  lock: "M7 11V8a5 5 0 0 1 10 0v3M6 11h12v9H6z",
} as const;

export type IconName = keyof typeof paths;

/** A drawing beside words; by itself it says nothing. */
export function Icon({ name }: { readonly name: IconName }) {
  return (
    <svg
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.7"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={paths[name]} />
    </svg>
  );
}

/** A head and shoulders in a circle. */
export function Logo() {
  return (
    <svg viewBox="0 0 16 16" aria-hidden="true">
      <circle cx="8" cy="8" r="8" fill="#0f766e" />
      <circle cx="8" cy="6" r="3" fill="#fff" />
      <path d="M2.5 14a5.5 5.5 0 0 1 11 0A8 8 0 0 1 8 16a8 8 0 0 1-5.5-2z" fill="#fff" />
    </svg>
  );
}

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Contact } from "../../client/wire.ts";
import { toUrl } from "../data/api.ts";
import { Icon } from "./icons.tsx";

/**
 * A picture from our own address, or what stands in its place: no browser shows a broken one.
 * @param src undefined: there is none
 */
export function Picture({
  src,
  size,
  alt,
  className,
  children,
}: {
  readonly src: string | undefined;
  /** Pixels of each side, for the browser to keep the place. */
  readonly size: number;
  /** Empty where the words beside it say as much. */
  readonly alt: string;
  readonly className?: string;
  /** In place of the picture. */
  readonly children: ComponentChildren;
}) {
  const [broken, setBroken] = useState<string>();
  if (src === undefined || broken === src)
    return (
      <span class={`blank ${className ?? ""}`} {...(alt !== "" && { role: "img", "aria-label": alt })}>
        {children}
      </span>
    );
  return (
    <img
      src={src}
      width={size}
      height={size}
      alt={alt}
      class={className}
      loading="lazy"
      decoding="async"
      onError={() => setBroken(src)}
    />
  );
}

/** The picture that a contact shows, else a drawing. */
export function Portrait({
  contact: { imageUrl, imageSha256 },
  size,
  alt = "",
  className,
}: {
  readonly contact: Pick<Contact, "imageUrl" | "imageSha256">;
  readonly size: 64 | 128 | 256;
  readonly alt?: string;
  readonly className?: string;
}) {
  // The address may be one of another host name of ours; the page's policy knows this one alone.
  const token = imageUrl?.split("/").at(-1);
  const src =
    token === undefined
      ? undefined
      : toUrl(`i/${token}`, {
          size: String(size),
          fallback: "silhouette",
          v: imageSha256?.slice(0, 16),
        });
  return (
    <Picture src={src} size={size} alt={alt} className={className ?? ""}>
      <Icon name="contact" />
    </Picture>
  );
}

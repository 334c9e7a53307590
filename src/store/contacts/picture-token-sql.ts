/**
 * Makes `avatars.picture_token`, which gives a contact the same token as `createPictureToken`: its id and the first half of an
 * HMAC-SHA256, in base64url. No extension is needed; null for a key of another length.
 *
 * Its `key` is what `toSqlPictureKey` makes: the two padded blocks of the key, 64 bytes each.
 */
export const createPictureTokenSql = `
create or replace function avatars.picture_token(contact_id bigint, key bytea) returns text
language sql immutable strict parallel safe
return case when octet_length(key) = 128 then translate(
  encode(
    int8send(contact_id) || substring(
      sha256(
        substring(key from 65 for 64)
        || sha256(substring(key from 1 for 64) || '\\x706963747572653a'::bytea || int8send(contact_id))
      ) from 1 for 16
    ),
    'base64'
  ),
  '+/', '-_'
) end`;

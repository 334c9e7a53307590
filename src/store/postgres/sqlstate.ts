// Codes of Postgres that statements here are answered with: https://www.postgresql.org/docs/current/errcodes-appendix.html

/** A row names an instance that is not there. */
export const foreignKeyViolation = "23503";
export const uniqueViolation = "23505";
/** A lock was not to be had in time. */
export const lockNotAvailable = "55P03";
export const deadlockDetected = "40P01";
/** Another transaction has changed what this one has read. */
export const serializationFailure = "40001";
/** `avatars.accept` raises it where there is no such batch. */
export const noDataFound = "P0002";
/** Such as a time zone that Postgres does not know. */
export const invalidParameterValue = "22023";
export const undefinedTable = "42P01";
export const undefinedColumn = "42703";
export const undefinedFunction = "42883";
export const invalidSchemaName = "3F000";
export const duplicateSchema = "42P06";
export const duplicateTable = "42P07";
export const duplicateObject = "42710";

/**
 * The only label that grows: GREEN-API's idInstance. Not `instance`: Prometheus puts the address of the process that it
 * scrapes there, and renames what it finds.
 */
export const instanceLabel = "instance_id";

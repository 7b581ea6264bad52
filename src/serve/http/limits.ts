/** Limits that more than one file of the server upholds (P8). */

/** Largest body of a request, as sent and as unpacked. */
export const BODY_BYTES_MAX = 8 * 1024 * 1024;

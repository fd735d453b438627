import { statSync } from "node:fs";

/**
 * Whether the time zone database has a file of exactly this name, by which the C library, and so borg, looks zones up
 * (tzset(3)). It takes a name that it does not find for UTC, without a word.
 */
export function isInZoneDatabase(name: string): boolean {
  try {
    return statSync(`/usr/share/zoneinfo/${name}`).isFile();
  } catch {
    return false;
  }
}

import { statSync } from "node:fs";

/**
 * Whether the time zone database has a file of this name, to the letter: that is how the C library, and so borg,
 * looks zones up (tzset(3)). A name that it does not find is UTC to it, without a word.
 */
export function isInZoneDatabase(name: string): boolean {
  try {
    return statSync(`/usr/share/zoneinfo/${name}`).isFile();
  } catch {
    return false;
  }
}

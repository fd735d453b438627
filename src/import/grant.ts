import type { PublicKey } from "../keys/public-key.ts";
import type { Problem } from "../problem.ts";

/** What another server lets a key do. */
export interface Grant {
  /** The file, and where it has lines the line, counted from 1. */
  place: Pick<Problem, "where" | "line">;
  key: PublicKey;
  /** Absolute paths on the other server. */
  opens: { path: string; isRepository: boolean }[];
  isAppendOnly: boolean;
  /** As it is written, e.g. 100G; null without one. */
  quota: string | null;
  /** The client's name on the other server, whose folder this is, or its name for the repository. */
  called?: string;
  /** In seconds: as the other server tells of a backup that is late. */
  lateAfter?: number;
  /** Whether the other server lets nobody in. */
  isArchived?: boolean;
}

/** What was found in the files of another server. */
export interface Found {
  grants: Grant[];
  /** What cannot be taken over. */
  left: Problem[];
  /** What is taken over in another way. */
  remarks: Problem[];
  /** What has to be corrected before anything is taken over. */
  problems: Problem[];
}

export const nothingFound = (): Found => ({ grants: [], left: [], remarks: [], problems: [] });

import type { Condition, ConditionKind } from "./condition.ts";

/** A condition that people were told of. */
export interface Told extends Condition {
  /** When it was said the last time, in milliseconds since 1970. */
  said: number;
}

/** What is to be said now. */
export interface News {
  /** For the first time, or because it got worse. */
  appeared: Condition[];
  /** Was said, and is still so; only where a day is over. */
  remaining: Condition[];
  /** Was said, and is so no more. */
  over: Told[];
  /** What people will have been told of then. */
  told: Told[];
}

const day = 24 * 3600 * 1000;
/**
 * Backups do not become late all at once, but each at its own time: after a night in which nothing was backed up, those that
 * follow the first within this time are one message. In milliseconds.
 */
export const gathering = 15 * 60 * 1000;

/** What is so now against what was said. @param now in milliseconds since 1970 */
export function newsOf(conditions: readonly Condition[], told: readonly Told[], now: number): News {
  const before = new Map(told.map((each) => [keyOf(each), each]));
  const isWaiting = told.some(({ kind, said }) => kind === "late" && now >= said && now - said < gathering);
  const appeared = conditions.filter((condition) => {
    const known = before.get(keyOf(condition));
    if (known) return condition.level > known.level;
    return condition.kind !== "late" || !isWaiting;
  });
  const isNew = new Set(appeared.map(keyOf));
  // All that goes on is repeated together.
  const isDayOver = told.some(({ said }) => now - said >= day || said > now);
  const isThere = new Set(conditions.map(keyOf));
  const knownNow = conditions.filter(
    (condition) => before.has(keyOf(condition)) && !isNew.has(keyOf(condition)),
  );
  const remaining = isDayOver ? knownNow : [];
  const saidNow = new Set([...appeared, ...remaining].map(keyOf));
  return {
    appeared,
    remaining,
    over: told.filter((each) => !isThere.has(keyOf(each))),
    told: [...appeared, ...knownNow].map((condition) => {
      const key = keyOf(condition);
      return { ...condition, said: saidNow.has(key) ? now : (before.get(key)?.said ?? now) };
    }),
  };
}

const keyOf = ({ kind, subject }: { kind: ConditionKind; subject: string }) => `${kind}\0${subject}`;

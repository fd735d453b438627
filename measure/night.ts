/**
 * A night in which many clients start in the same hour. Each takes a node at random, as DNS or a balancer gives it, and
 * waits there until the node's cores have let in those before it. What a login costs, and how many may wait for one, is given.
 */

export interface Night {
  clients: number;
  nodes: number;
  /** Of each node. */
  cores: number;
  /** Seconds up to which each client's timer waits at random (systemd's RandomizedDelaySec). */
  jitter: number;
  /** Seconds of a core that one session takes until it serves. */
  cost: number;
  /** Clients that may wait on one node; sshd turns away what comes then (MaxStartups). */
  places: number;
  /** Seconds that a session stays open. */
  length: number;
  /** Sessions that a node has memory for. */
  room: number;
  seed: number;
}

/** Half of the timers are set to the full hour, the others to any minute of it; clocks are up to a second off. */
function startOf(random: () => number, jitter: number): number {
  const minute = random() < 0.5 ? 0 : Math.floor(random() * 60);
  return minute * 60 + random() + random() * jitter;
}

/** @returns how many clients were turned away, the longest wait in seconds, and the most sessions at once on one node */
export function simulate(night: Night): { turnedAway: number; longestWait: number; mostOpen: number } {
  const { clients, nodes, cores, jitter, cost, places, length } = night;
  const random = randomNumbers(night.seed);
  const starts = Float64Array.from({ length: clients }, () => startOf(random, jitter)).sort();
  const queues = Array.from({ length: nodes }, () => ({ begun: [] as number[], letIn: 0 })); // ascending times; a count
  let [turnedAway, longestWait] = [0, 0];
  for (const start of starts) {
    const queue = queues[Math.floor(random() * nodes)]!;
    const { begun } = queue;
    while (begun[queue.letIn]! <= start) queue.letIn += 1;
    if (begun.length - queue.letIn >= places) {
      turnedAway += 1;
      continue;
    }
    // Each session costs the same, so that a core is free when it has let in the one before the last `cores`.
    const began = Math.max(start, begun.at(-cores) ?? 0) + cost;
    begun.push(began);
    longestWait = Math.max(longestWait, began - start);
  }
  const mostOpen = queues
    .map(({ begun }) => mostWithin(begun, length))
    .reduce((one, other) => Math.max(one, other));
  return { turnedAway, longestWait, mostOpen };
}

/** The fewest nodes that turn nobody away and have memory for all sessions. */
export function nodesFor(night: Omit<Night, "nodes">): number {
  const enough = (nodes: number) => {
    const { turnedAway, mostOpen } = simulate({ ...night, nodes });
    return turnedAway === 0 && mostOpen <= night.room;
  };
  let [low, high] = [0, 1];
  while (!enough(high)) [low, high] = [high, high * 2];
  while (high - low > 1) {
    const nodes = (low + high) >> 1;
    if (enough(nodes)) high = nodes;
    else low = nodes;
  }
  return high;
}

function mostWithin(begun: readonly number[], length: number): number {
  let [most, first] = [0, 0];
  for (const [at, began] of begun.entries()) {
    while (begun[first]! < began - length) first += 1;
    most = Math.max(most, at - first + 1);
  }
  return most;
}

/** Numbers from 0 to 1, the same for the same seed: mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

import { dlopen } from "bun:ffi";

/** The kernel's clocks (setitimer(2)): the time of day's, and the processor time of this process in its own code and the kernel's. */
const clocks = { real: 0, processor: 2 };

/**
 * The kernel ends this process after so much time, by SIGPROF for processor time and SIGALRM for wall time. A timer of
 * the runtime would not fire during a blocking call.
 * @param limits in seconds
 */
export function setDeadline(limits: { processor: number; real: number }): void {
  const { symbols } = dlopen("libc.so.6", { setitimer: { args: ["i32", "ptr", "ptr"], returns: "i32" } });
  for (const clock of ["processor", "real"] as const) {
    // struct itimerval: no repetition, then the seconds and microseconds until it fires.
    const timer = new BigInt64Array([0n, 0n, BigInt(limits[clock]), 0n]);
    symbols.setitimer(clocks[clock], timer, null);
  }
}

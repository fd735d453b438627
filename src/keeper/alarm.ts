/** Waits for a time, or until it is rung. */
export class Alarm {
  #isRung = false;
  #ring: (() => void) | null = null;

  /** Ends the waiting, or the next one. */
  ring(): void {
    this.#isRung = true;
    this.#ring?.();
  }

  /** @param milliseconds how long at most; without an end where it is Infinity */
  async wait(milliseconds: number): Promise<void> {
    if (!this.#isRung && milliseconds > 0)
      await new Promise<void>((resolve) => {
        const timer =
          milliseconds === Number.POSITIVE_INFINITY ? undefined : setTimeout(resolve, milliseconds);
        this.#ring = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    this.#ring = null;
    this.#isRung = false;
  }
}

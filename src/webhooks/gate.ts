/** Lets a number of tasks run at the same time, and a number wait; whoever brings more waits himself. */
export class Gate {
  private readonly waiting: (() => Promise<void>)[] = [];
  private running = 0;
  private readonly blocked: (() => void)[] = [];
  private readonly ends: (() => void)[] = [];

  constructor(
    private readonly limit: number,
    private readonly backlog: number,
  ) {}

  /** Resolves when the task is accepted, which is not when it is done. The task must not throw. */
  async enter(task: () => Promise<void>): Promise<void> {
    while (this.waiting.length >= this.backlog) await new Promise<void>((resolve) => this.blocked.push(resolve));
    this.waiting.push(task);
    this.pump();
  }

  /** Resolves when nothing runs or waits. */
  async drained(): Promise<void> {
    while (this.running > 0 || this.waiting.length > 0) await new Promise<void>((resolve) => this.ends.push(resolve));
  }

  private pump(): void {
    while (this.running < this.limit && this.waiting.length > 0) {
      const task = this.waiting.shift()!;
      this.running += 1;
      void task().finally(() => {
        this.running -= 1;
        this.pump();
        for (const resolve of this.ends.splice(0)) resolve();
      });
      for (const resolve of this.blocked.splice(0)) resolve();
    }
  }
}

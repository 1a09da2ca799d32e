export interface TriggerResult {
  event: string;
  ok: boolean;
  calls: string[];
  unserved: string[];
  reason: string;
}

export declare class StripeCli {
  close(): void;
  events(): Promise<string[]>;
  trigger(event: string, target: { apiBase: string; apiKey: string; account?: string }): Promise<TriggerResult>;
}

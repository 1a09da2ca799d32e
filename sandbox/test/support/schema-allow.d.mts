export declare const allowed: { on: RegExp; at: RegExp; why: string }[];

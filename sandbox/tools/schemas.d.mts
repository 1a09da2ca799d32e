/** Path of the JSON Schemas of the installed SDK, made when there are none yet. */
export declare function ensureSchemas(): string;

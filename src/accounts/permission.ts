/** What a user may do in its space (TrueFTP, "Managing FTP users"). */
export const PERMISSIONS = ['list', 'read', 'write', 'delete'] as const
export type Permission = (typeof PERMISSIONS)[number]

/** What an account key may do: `read` for every GET, `write` for the rest (TrueFTP REST reference). */
export const SCOPES = ['read', 'write'] as const
export type Scope = (typeof SCOPES)[number]

import { timingSafeEqual } from 'node:crypto'
import ssh2, { type AuthContext, type Connection, type PasswordAuthContext, type PublicKeyAuthContext } from 'ssh2'
import type { Authenticator } from '../../accounts/authenticate.ts'
import type { User } from '../../accounts/user.ts'
import { AppError, codeOf } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'

type AuthenticationType = 'password' | 'publickey'
const METHODS: AuthenticationType[] = ['publickey', 'password']
/** Longest password that is looked at, UTF-16 units. */
const PASSWORD_CHARS_MAX = 1_024
/** Algorithms of keys whose signatures are taken. RSA only with SHA-2 (RFC 8332). */
const KEY_TYPES = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa']

export interface LoginNeeds {
  readonly authenticator: Authenticator
  /** Failed tries after which the connection is ended. Asking for the methods counts too, but for the first time. */
  readonly triesMax: number
  readonly log: Log
  /** Takes the user, or throws an AppError that says why not now: too many connections. */
  admit(user: User): void
  /** One line for the audit trail. */
  report(login: { user: User | undefined; name: string; result: string; detail: string | null }): void
  /** True once the connection is gone. */
  isOver(): boolean
  end(): void
}

/**
 * Answers who a client says to be. An unknown user, a wrong password, a disabled user and an unknown key hear the same
 * answer; a password takes the same time for all of them.
 */
export function handleLogin(client: Connection, needs: LoginNeeds): void {
  let tries = 0
  let asked = false
  const refuse = (context: AuthContext) => {
    if (needs.isOver()) return
    context.reject(METHODS)
    const isFirstQuestion = context.method === 'none' && !asked
    asked = true
    if (!isFirstQuestion) tries++
    if (tries >= needs.triesMax) needs.end()
  }

  client.on('authentication', (context) => {
    decide(context, needs).then(
      (isAllowed) => {
        if (needs.isOver()) return
        if (isAllowed) context.accept()
        else refuse(context)
      },
      (error: unknown) => {
        if (codeOf(error) === 'internal') needs.log.error({ err: error }, 'login failed')
        else needs.log.info({ login: shown(context.username), reason: (error as Error).message }, 'login refused')
        needs.report({ user: undefined, name: shown(context.username), result: codeOf(error), detail: publicDetail(error) })
        refuse(context)
      },
    )
  })
}

async function decide(context: AuthContext, needs: LoginNeeds): Promise<boolean> {
  const { method } = context
  if (method !== 'password' && method !== 'publickey') return false
  // ssh2 hands over what the packet held: a request to change the password is an object here.
  const name = String(context.username)
  const user = await needs.authenticator.findUser(name)
  if (method === 'publickey' && context.signature === undefined) return mayUseKey(user, context)

  const isValid =
    method === 'password'
      ? await isPassword(user, context, needs.authenticator)
      : mayUseKey(user, context) && isSignature(context)
  const isAllowed = isValid && user !== undefined && !user.disabled
  if (isAllowed && !needs.isOver()) needs.admit(user)
  needs.report({ user, name: shown(name), result: isAllowed ? 'ok' : 'unauthenticated', detail: method })
  return isAllowed
}

async function isPassword(user: User | undefined, context: PasswordAuthContext, authenticator: Authenticator): Promise<boolean> {
  const { password } = context
  if (typeof password !== 'string' || password.length > PASSWORD_CHARS_MAX) return false
  return authenticator.checkPassword(user, password)
}

/** Whether the key is one of the user's, looked for in constant time for keys of one length. */
function mayUseKey(user: User | undefined, { key, hashAlgo }: PublicKeyAuthContext): boolean {
  if (user === undefined || user.disabled || !KEY_TYPES.includes(key.algo)) return false
  if (key.algo === 'ssh-rsa' && hashAlgo === undefined) return false
  let isKnown = false
  for (const { type, blob } of user.publicKeys) {
    const stored = Buffer.from(blob, 'base64')
    if (type === key.algo && stored.length === key.data.length && timingSafeEqual(stored, key.data)) isKnown = true
  }
  return isKnown
}

function isSignature({ key, blob, signature, hashAlgo }: PublicKeyAuthContext): boolean {
  if (blob === undefined || signature === undefined) return false
  const parsed = ssh2.utils.parseKey(`${key.algo} ${key.data.toString('base64')}`)
  if (parsed instanceof Error) return false
  const publicKey = Array.isArray(parsed) ? parsed[0] : parsed
  // verify() returns an Error, not false, for a signature that is none.
  return publicKey?.verify(blob, signature, hashAlgo) === true
}

/** As much of a login as a log or the audit trail shows. */
function shown(login: unknown): string {
  return String(login).slice(0, 100)
}

function publicDetail(error: unknown): string | null {
  return error instanceof AppError ? error.message : null
}
